"""Small synthetic experiments of the four tasks, and what hypothesis draws: parameters, spaces, pools, any JSON value.

Their values have nine random digits, so that none can turn up in a text by chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from llmconfig_gym.experiment import Direction, Experiment, Fidelity, Metric
from llmconfig_gym.parameter import Categorical, FloatArray, Grid, Integer, Parameter, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

Make = Callable[..., Experiment]
TASKS = ("pretraining", "architecture", "mixture", "grpo")


def _make(
    pool: Pool,
    values: FloatArray | list[float],
    *,
    name: str = "synthetic",
    task: str = "pretraining",
    direction: Direction = "minimize",
    **more: Any,
) -> Experiment:
    more = {
        "suite": "test",
        "family": task,
        "level": "low",
        "fidelity": Fidelity({"parameters": 2.15e8, "tokens": 1e10}, 1.29e19),
        "metric": Metric("score", direction, "What is measured.", {"steps": "number of steps"}),
        **more,
    }
    return Experiment(id=f"test/{name}", task=task, pool=pool, values=np.asarray(values, dtype=np.float64), **more)


@pytest.fixture(scope="session")
def make() -> Make:
    """An experiment from a pool and its values, with everything else filled in."""
    return _make


def _digits(rows: int, seed: int, low: float, high: float) -> FloatArray:
    """[rows] values with nine digits that differ from one another in their first four."""
    grid = np.linspace(low, high, rows) + np.random.default_rng(seed).uniform(0, 0.5 * (high - low) / rows, rows)
    return np.round(np.random.default_rng(seed).permutation(grid), 9)


def _pretraining() -> Experiment:
    """A grid of 6 x 5 with four holes; two runs diverged, and the worst finite one lies beyond the clip."""
    space = Space(
        (
            Grid("lr", tuple(float(f"{2.0 ** (-9 + k / 2):.3e}") for k in range(-3, 3)), log=True),
            Grid("batch_size", (16, 32, 64, 128, 256), log=True, unit="sequences"),
        )
    )
    holes = {(0, 0), (0, 4), (5, 4), (3, 2)}
    cells = [c for c in product(range(6), range(5)) if c not in holes]
    lr, batch = (space[n].options for n in space.names)  # type: ignore[attr-defined]  # both are grids
    pool = Pool.from_configs(space, [{"lr": lr[i], "batch_size": batch[j]} for i, j in cells])
    values = _digits(len(cells), 1, 2.2, 2.9)
    values[[3, 20]] = math.nan, math.inf
    values[11] = 7.123456789
    steps = _digits(len(cells), 2, 1000.0, 9000.0)
    return _make(pool, values, name="pretraining", clip=1.25, noise=0.00234567, details={"steps": steps})


def _architecture() -> Experiment:
    """All kinds of flat parameters, some relative, at 40 random points."""
    space = Space(
        (
            Grid("embed_dim", (192, 384, 768), log=True, relative=True),
            Integer("layers", 10, 12, relative=True),
            Categorical("activation", ("gelu", "relu", "silu")),
            Categorical("bias", (False, True)),
            Real("mlp_ratio", 2.0, 4.0),
        )
    )
    rng = np.random.default_rng(3)
    pool = Pool.from_configs(space, [space.decode(rng.random(space.width)) for _ in range(40)])
    details = {"latency_ms": _digits(40, 4, 9.0, 30.0)}
    return _make(pool, _digits(40, 5, 20.0, 60.0), name="architecture", task="architecture", details=details)


def _mixture() -> Experiment:
    """Thirty mixtures of four sources, one pure, sums off by rounding; higher is better."""
    space = Space((Simplex("weights", ("web", "code", "math", "books")),))
    weights = np.round(np.random.default_rng(6).dirichlet(np.ones(4), 30), 3)
    weights[7] = 1.0, 0.0, 0.0, 0.0
    pool = Pool(space, {"weights": weights})
    spread = np.where(np.arange(30) % 3, math.nan, 0.00123456)
    replicates = np.where(np.arange(30) % 3, 1, 3)
    return _make(
        pool,
        _digits(30, 7, 0.31, 0.79),
        name="mixture",
        task="mixture",
        direction="maximize",
        spread=spread,
        replicates=replicates,
    )


def _grpo() -> Experiment:
    """A full grid of three axes, one of them linear from zero; higher is better."""
    space = Space(
        (
            Grid("lr", (1e-6, 3e-6, 1e-5), log=True),
            Grid("kl_coefficient", (0.0, 0.01, 0.1)),
            Grid("group_size", (4, 8), log=True),
        )
    )
    axes = [p.options for p in space.parameters]  # type: ignore[attr-defined]  # all are grids
    pool = Pool.from_configs(space, [dict(zip(space.names, c, strict=True)) for c in product(*axes)])
    details = {"kl": _digits(18, 8, 0.01, 3.0), "entropy": np.where(np.arange(18) == 4, np.nan, _digits(18, 9, 0.1, 2))}
    return _make(pool, _digits(18, 10, 0.1, 0.9), name="grpo", task="grpo", direction="maximize", details=details)


@pytest.fixture(scope="session")
def experiments() -> Mapping[str, Experiment]:
    """One synthetic experiment of each task."""
    return {e.task: e for e in (_pretraining(), _architecture(), _mixture(), _grpo())}


@pytest.fixture(scope="session", params=TASKS)
def experiment(request: pytest.FixtureRequest, experiments: Mapping[str, Experiment]) -> Experiment:
    """Each of the four in turn."""
    return experiments[request.param]


# What hypothesis draws. Fixtures, because test modules cannot import one another.

NAMES = st.text("abcdefgh_", min_size=1, max_size=6)


def _numbers(low: float, high: float) -> SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_subnormal=False)


@st.composite
def _parameters(draw: st.DrawFn, name: str | None = None) -> Parameter:
    kind = draw(st.sampled_from(("grid", "integer", "real", "bool", "text", "simplex")))
    chosen = draw(NAMES) if name is None else name
    words: dict[str, Any] = {"unit": draw(st.sampled_from(("", "steps"))), "relative": draw(st.booleans())}
    log = draw(st.booleans())
    if kind == "grid":
        whole = draw(st.booleans())
        low = 1 if log else -1000
        element = st.integers(low, 1000) if whole else _numbers(1e-9, 1e3) if log else _numbers(-1e3, 1e3)
        levels = draw(st.lists(element, min_size=1, max_size=6, unique=True))
        spaced: list[float] = []
        for level in sorted(levels):  # three written digits tell any two levels apart
            if not spaced or abs(level - spaced[-1]) > 0.02 * max(abs(level), abs(spaced[-1])) + 1e-9 * (not log):
                spaced.append(level)
        return Grid(chosen, tuple(spaced), log, **words)
    if kind == "integer":
        ends = sorted(draw(st.tuples(*[st.integers(1 if log else -50, 2_000_000)] * 2)))
        return Integer(chosen, ends[0], ends[1], log, **words)
    if kind == "real":
        ends = sorted(draw(st.tuples(*[_numbers(1e-9, 1e6) if log else _numbers(-1e6, 1e6)] * 2)))
        return Real(chosen, ends[0], ends[1], log, **words)
    if kind == "bool":
        return Categorical(chosen, tuple(draw(st.permutations([True, False]))), **words)
    texts = tuple(draw(st.lists(st.text("xyz \u00e9", max_size=3), min_size=2, max_size=5, unique=True)))
    return Categorical(chosen, texts, **words) if kind == "text" else Simplex(chosen, texts, **words)


@st.composite
def _spaces(draw: st.DrawFn) -> Space:
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    return Space(tuple(draw(_parameters(n)) for n in names))


@st.composite
def _pools(draw: st.DrawFn) -> Pool:
    """A few rows of any space, some of them equal; grids have holes."""
    space = draw(_spaces())
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    configs = [space.decode(rng.random(space.width)) for _ in range(draw(st.integers(1, 15)))]
    return Pool.from_configs(space, configs)


_LEAVES: SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([-0.0, 1e308, -1e308, 5e-324, "NaN", "\ud800", "\x00"])
)
_KEYS: SearchStrategy[Any] = st.text(max_size=5) | st.integers() | st.floats() | st.none() | st.booleans()


@pytest.fixture(scope="session")
def parameters() -> SearchStrategy[Parameter]:
    """Parameters of every kind."""
    return _parameters()


@pytest.fixture(scope="session")
def spaces() -> SearchStrategy[Space]:
    """Spaces of one to three parameters of any kind."""
    return _spaces()


@pytest.fixture(scope="session")
def pools() -> SearchStrategy[Pool]:
    """Pools of such spaces."""
    return _pools()


@pytest.fixture(scope="session")
def json_values() -> SearchStrategy[Any]:
    """Any JSON value and a little more: huge integers, NaN, lone surrogates, keys that are not text."""
    return st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=8,
    )


def _nested(depth: int) -> Any:
    value: Any = 0
    for i in range(depth):
        value = {"a": value} if i % 2 else [value]
    return value


@pytest.fixture(scope="session", params=["digits", "nested", "long text", "object", "array"])
def awkward(request: pytest.FixtureRequest) -> Any:
    """Values that cannot even be printed, or only at length, and some that are not JSON at all."""
    return {
        "digits": 10**5000,
        "nested": _nested(100_000),
        "long text": "x" * 100_000,
        "object": object(),
        "array": np.arange(3.0),
    }[request.param]
