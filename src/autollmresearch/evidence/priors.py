"""Priors: everything the analyst believes before it sees a run, in one table, each with its source.

Exponents are of power laws: an optimum that moves as N^e moves by e octaves per octave of N. Locations are in octaves
(log2 of the value). "Generic" priors hold for a parameter, a metric or a fidelity that nothing is known of. What was
chosen on low -> medium pairs (docs/log.md) says so, what nobody tried to vary too. No prior comes from an experiment of
the high level, nor from a law that was fitted on the public tables.

Sources: Kaplan et al. 2020, arXiv:2001.08361; DeepSeek-AI 2024, arXiv:2401.02954; Yang et al. 2022 (muP),
arXiv:2203.03466; Malladi et al. 2022, arXiv:2205.10287; Zhang et al. 2024, arXiv:2410.21676; Ge et al. 2024 (BiMix),
arXiv:2405.14908; Ye et al. 2024 (data mixing laws), arXiv:2403.16952.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prior:
    """A normal prior: mean, standard deviation, unit, and where it comes from."""

    mean: float
    sd: float
    unit: str
    source: str


LR_CONSTANT, LR_EXPONENT = 0.3118, -0.1250
"""Best learning rate 0.3118 C^-0.1250 at C training FLOPs (DeepSeek-AI 2024, section 3.1, equation 1)."""

BATCH_CONSTANT, BATCH_EXPONENT = 0.2920, 0.3271
"""Best batch size 0.2920 C^0.3271 tokens (the same)."""

_TRIED = "generic: chosen on low -> medium pairs"
_HAND = "generic: set by hand"
_DEEPSEEK = "DeepSeek-AI 2024, equation 1, at the target's C = 6ND; width on low -> medium pairs"
_SUM = "DeepSeek-AI 2024: the exponent in C is half the sum of those in N and D where both grow alike; "

PRIORS: dict[str, Prior] = {
    # Where the optimum lies at the target.
    "location.lr": Prior(0.0, 2.0, "octaves from 0.3118 C^-0.1250", _DEEPSEEK),
    "location.batch": Prior(0.0, 2.0, "octaves from 0.2920 C^0.3271 tokens", _DEEPSEEK),
    "location.range": Prior(0.5, 0.2, "of the target's range", f"people search around what they expect; {_TRIED}"),
    "location.target": Prior(0.0, 0.25, "octaves off the power law, at the target alone", _HAND),
    # How it moves.
    "exponent.lr.parameters": Prior(-0.5, 0.25, "octaves per octave", "muP: lr ~ 1/width, and N ~ width^2"),
    "exponent.lr.tokens": Prior(0.25, 0.2, "octaves per octave", f"{_SUM}-0.25 less muP's -0.5"),
    "exponent.lr.compute": Prior(LR_EXPONENT, 0.1, "octaves per octave", "DeepSeek-AI 2024, equation 1"),
    "exponent.batch.parameters": Prior(0.15, 0.2, "octaves per octave", f"{_SUM}0.65 less 0.5 for D"),
    "exponent.batch.tokens": Prior(0.5, 0.2, "octaves per octave", "Zhang et al. 2024: critical batch ~ D^0.47"),
    "exponent.batch.compute": Prior(BATCH_EXPONENT, 0.15, "octaves per octave", "DeepSeek-AI 2024, equation 1"),
    "exponent.other": Prior(0.0, 0.2, "octaves (or quarters of the range) per octave", _HAND),
    # The valley around it.
    "coupling.lr.batch": Prior(0.4, 0.2, "octaves of lr per octave of batch", "Malladi et al. 2022: lr ~ sqrt(batch)"),
    "coupling.other": Prior(0.0, 0.3, "octaves per octave", _TRIED),
    "log_sharpness": Prior(-1.1, 0.5, "ln of 1 / octaves until a side turns straight", _TRIED),
    "asymmetry": Prior(0.0, 0.4, "ln of the ratio of a side's sharpness to the mean", _TRIED),
    "log_height": Prior(0.5, 1.0, "ln of the valley's height over the spread of the outcomes", _TRIED),
    "log_height.exponent": Prior(0.0, 0.1, "ln per octave of fidelity", _HAND),
    "category": Prior(0.0, 0.5, "spreads", _HAND),
    # The level.
    "level": Prior(0.0, 10.0, "spreads", _HAND),
    "level.exponent.loss": Prior(-0.06, 0.04, "ln of the loss per octave", "Kaplan et al. 2020: N^-0.076, D^-0.095"),
    "level.exponent.other": Prior(0.0, 3.0, "spreads per octave", _TRIED),
    "level.offset": Prior(0.0, 0.1, "spreads off the power law, per experiment", _TRIED),
    "level.offset.words": Prior(0.0, 3.0, "spreads between fidelities that differ in words", _HAND),
    # What the valley leaves out: a Gaussian process on its residuals.
    "residual.length": Prior(2.0, 0.5, "octaves from the optimum; sd in ln", _HAND),
    "residual.height": Prior(0.5, 0.5, "noise sds; sd in ln", _HAND),
    "residual.octaves": Prior(8.0, 0.0, "octaves of fidelity to a correlation of 1/e", _HAND),
    # How fidelities of mixtures and architectures hang together: their ranking carries over.
    "fidelity.octaves": Prior(160.0, 0.0, "octaves of fidelity to a correlation of 1/e", _TRIED),
    "fidelity.other": Prior(0.99, 0.0, "correlation of two experiments beyond their distance", _TRIED),
    "strength": Prior(1.0, 10.0, "an experiment's spread over the others'; sd: runs the prior counts for", _HAND),
    # Mixtures.
    "mixture.diversity": Prior(0.8, 0.0, "spreads per unit of sum sqrt(w)", f"form: Ge et al. 2024; size: {_TRIED}"),
    "mixture.length": Prior(1.0, 0.3, "Hellinger distance; sd in ln", _TRIED),
    "mixture.noise": Prior(0.25, 0.3, "strengths; sd in ln", _TRIED),
    # Parts of an architecture's metric.
    "architecture.trend": Prior(0.8, 0.0, "strengths per sd of log size", f"form: Kaplan et al. 2020; size: {_HAND}"),
    "architecture.linear": Prior(1.0, 0.0, "variance of the linear part over that of the rest", _HAND),
    "architecture.length": Prior(1.5, 1.0, "ranges; sd in ln", _HAND),
    "architecture.noise": Prior(0.1, 1.0, "strengths; sd in ln", _HAND),
    "architecture.level.exponent": Prior(0.0, 2.0, "spreads per octave", _HAND),
    "architecture.level.offset": Prior(0.0, 2.0, "spreads, per experiment", _HAND),
    "architecture.discrepancy": Prior(0.3, 0.0, "sd of the metric over the pool", _TRIED),
    "architecture.discrepancy.own": Prior(0.5, 0.0, "of its variance: each configuration for itself", _TRIED),
    "architecture.discrepancy.length": Prior(0.75, 0.0, "ranges", _TRIED),
    "architecture.discrepancy.noise": Prior(0.05, 0.0, "sd of the metric over the pool", _TRIED),
    # Noise of a run around the valley.
    "noise": Prior(0.25, 4.0, "spreads; sd: runs the prior counts for", _TRIED),
}
