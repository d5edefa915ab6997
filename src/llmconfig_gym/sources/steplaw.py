"""Dense pretraining: learning rate x batch size at 17 combinations of model size N and tokens D.

1,911 runs of one decoder family. An experiment is one (N, D); its grid is what was run there, with holes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import SourceFormatError
from llmconfig_gym.experiment import Experiment, Fidelity, Level, Metric
from llmconfig_gym.parameter import FloatArray, Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.sources.download import Origin
from llmconfig_gym.sources.tables import read_csv
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

ORIGIN = Origin("step-law", "steplaw", "32a8f4cc50247695fb56cc6c9117abdf67c97763")
TABLE = "data/dense_lr_bs_loss.csv"
FILES = {TABLE: "9e46181076c04d450294d75dfe6f72adc416e231e154a07b337e378f9410002c"}

MEDIUM, HIGH = 2.7e19, 1e20
"""Training FLOPs (6ND) from which an experiment is of medium and of high fidelity."""

CLIP = 1.25
"""Runs worse than this multiple of the best count as that on the regret scale: a few runs diverged to 2-5 times it."""

NOISE = 1e-3
"""Standard deviation between runs, relative to the best loss."""

CARD = Card(
    title="Step Law, dense pretraining: learning rate and batch size at 17 model and data sizes (1,911 runs)",
    licence="none stated by the repository: look at it before you redistribute anything",
    citation=(
        "Li et al.: Predictable Scale: Part I, Step Law - Optimal Hyperparameter Scaling Law in Large Language Model "
        "Pretraining. arXiv:2503.04715, 2025"
    ),
    url="https://github.com/step-law/steplaw",
    maker="llmconfig_gym.sources.steplaw/1",
    notes=(
        "value: the column 'smooth loss' (smoothed training loss); the column 'loss' (a single step) is a detail.",
        "lr: on the lattice 2^-9 * sqrt(2)^k; upstream writes one point in two ways (0.00276 and 0.002762), here it is "
        "one level, to four digits.",
        "parameters (N) excludes embeddings; cost is 6ND FLOPs.",
        "Split by cost: low < 2.7e19 <= medium < 1e20 <= high.",
        "No row is dropped or filled in: grids have 0-14 holes, and 0-22 runs per experiment diverged. The regret "
        "scale is clipped at 1.25 times the best loss.",
        "Noise 0.1% of the best loss: an estimate from smooth fits (0.05-0.15%); the table holds no replicates.",
        "The scaling law published with these runs was fitted on them: as a baseline it is contaminated.",
    ),
)

METRIC = Metric(
    "smoothed_loss",
    "minimize",
    about=(
        "Training loss in nats per token at the end of the run, averaged over the last steps so that the noise of "
        "single batches cancels. Runs that diverged end far above the rest. The number of "
        "parameters in the fidelity excludes embeddings."
    ),
    details={
        "last_step_loss": "training loss of the very last batch, in nats per token: the same quantity with more noise",
        "steps": "number of optimiser steps of the run: the token budget divided by the tokens per batch",
    },
)


def lattice(lr: FloatArray) -> NDArray[np.int64]:
    """Index k of each learning rate on the lattice 2^-9 * sqrt(2)^k.

    Raises:
        SourceFormatError: a learning rate lies more than 2% away from it.
    """
    position: FloatArray = 2 * (np.log2(lr) + 9)
    index: FloatArray = np.rint(position)
    if (off := np.abs(position - index) > 0.05).any():
        raise SourceFormatError(f"learning rate {lr[off][0]} is not 2^-9 times a power of sqrt(2), as all others are")
    return index.astype(np.int64)


def lattice_value(index: int) -> float:
    """The learning rate at a lattice index, to four digits, as upstream writes it."""
    return float(f"{2.0 ** (-9 + index / 2):.3e}")


def make(paths: Mapping[str, Path]) -> Suite:
    """The suite `steplaw`: 17 experiments of the family `dense`, cheapest first.

    Raises:
        SourceFormatError: the file is not the table this was written for.
    """
    table = read_csv(paths[TABLE], ["N", "D", "lr", "bs", "ti", "loss", "smooth loss"])
    sizes = sorted({(n, d) for n, d in zip(table["N"], table["D"], strict=True)}, key=lambda s: s[0] * s[1])
    chosen = [(table["N"] == n) & (table["D"] == d) for n, d in sizes]
    return Suite.of("steplaw", CARD, [_experiment({k: v[rows] for k, v in table.items()}) for rows in chosen])


def _experiment(table: Mapping[str, NDArray[Any]]) -> Experiment:
    n, d = float(table["N"][0]), float(table["D"][0])
    cost = 6.0 * n * d
    level: Level = "low" if cost < MEDIUM else "medium" if cost < HIGH else "high"
    lr = np.array([lattice_value(k) for k in lattice(table["lr"]).tolist()])
    batch = table["bs"].astype(np.int64)
    space = Space(
        (
            Grid("lr", tuple(np.unique(lr).tolist()), log=True),
            Grid("batch_size", tuple(np.unique(batch).tolist()), log=True, unit="sequences of 2048 tokens"),
        )
    )
    return Experiment(
        id=f"steplaw/{n / 1e6:.0f}M-{d / 1e9:g}B",
        suite="steplaw",
        task="pretraining",
        family="dense",
        level=level,
        fidelity=Fidelity({"parameters": n, "tokens": d}, cost),
        metric=METRIC,
        pool=Pool(space, {"lr": lr, "batch_size": batch}),
        values=table["smooth loss"],
        details={"last_step_loss": table["loss"], "steps": table["ti"]},
        noise=NOISE * float(table["smooth loss"].min()),
        clip=CLIP,
    )
