"""Landscapes whose law is known: the best learning rate and batch size move as powers of model and data size."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from autollmresearch.evidence.records import CheapRuns, Problem
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import FloatArray, Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

LR = tuple(float(f"{2.0**k:.4g}") for k in range(-13, -2))
BATCH = tuple(2**k for k in range(2, 10))
TARGET = (1e8, 2e9)
Law = Callable[..., Experiment]


@pytest.fixture(scope="session")
def law() -> Law:
    """One experiment of the law: `law(parameters, tokens, exponent=, level=, noise=, blow_ups=, seed=)`.

    At the target (1e8 parameters, 2e9 tokens) the best learning rate is 2^-8, the best batch size 2^6 sequences. The
    learning rate moves as `exponent` of the parameters, the batch size as 0.4 of the tokens.
    """

    def make(
        parameters: float,
        tokens: float = TARGET[1],
        *,
        exponent: float = -0.4,
        level: float = -0.05,
        noise: float = 0.002,
        blow_ups: int = 0,
        seed: int = 0,
    ) -> Experiment:
        rng = np.random.default_rng([seed, int(parameters), int(tokens)])
        space = Space((Grid("lr", LR, log=True), Grid("batch_size", BATCH, log=True, unit="sequences of 512 tokens")))
        configs = [{"lr": a, "batch_size": b} for a in LR for b in BATCH]
        pool = Pool.from_configs(space, configs)
        n, d = np.log2(parameters / TARGET[0]), np.log2(tokens / TARGET[1])
        lr = np.log2(pool.columns["lr"]) + 8 - exponent * n
        batch = np.log2(pool.columns["batch_size"]) - 6 - 0.4 * d
        valley = 0.15 * (np.sqrt(1 + ((lr - 0.4 * batch) / 2.5) ** 2 + (batch / 3) ** 2) - 1)
        values = 3.0 * np.exp(level * (n + d) + valley + noise * rng.standard_normal(len(pool)))
        values[rng.choice(len(pool), size=blow_ups, replace=False)] = 10.0
        fidelity = Fidelity({"parameters": parameters, "tokens": tokens}, 6 * parameters * tokens)
        metric = Metric("loss", "minimize")
        name = f"law/{parameters:.3g}-{tokens:.3g}"
        return Experiment(name, "law", "pretraining", "law", "low", fidelity, metric, pool, values, clip=1.25)

    return make


@pytest.fixture(scope="session")
def known() -> Callable[..., Problem]:
    """What is known before the target: `known(target, cheaper, runs, seed)`; all outcomes if `runs` is None."""

    def make(target: Experiment, cheaper: Sequence[Experiment], runs: int | None = None, seed: int = 0) -> Problem:
        if runs is None:
            cheap = tuple(CheapRuns.of(e) for e in cheaper)
        else:
            rng = np.random.default_rng(seed)
            chosen = rng.choice(
                [(i, r) for i, e in enumerate(cheaper) for r in range(len(e.pool))], runs, replace=False
            )
            draws = [(e, np.sort(chosen[chosen[:, 0] == i, 1])) for i, e in enumerate(cheaper)]
            cheap = CheapRuns.drawn([(e, rows) for e, rows in draws if len(rows)])
        return Problem(target.task, target.fidelity, target.metric, target.pool, cheap, 5, target.clip)

    return make


@pytest.fixture(scope="session")
def sizes(law: Law) -> Callable[..., list[Experiment]]:
    """Six cheaper experiments of a law: `sizes(**options of law)`."""
    scales = [(6e6, 2.5e8), (6e6, 1e9), (1.2e7, 5e8), (2.5e7, 2.5e8), (2.5e7, 1e9), (5e7, 5e8)]
    return lambda **options: [law(n, d, **options) for n, d in scales]


@pytest.fixture(scope="session")
def regret() -> Callable[[Experiment, FloatArray], float]:
    """The regret of the candidate with the least expected loss: `regret(target, means)`."""
    return lambda target, mean: float(target.regret(target.losses[int(np.argmin(mean))]))
