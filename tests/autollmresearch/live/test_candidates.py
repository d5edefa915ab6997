"""What may be proposed where there is no table: legal, distinct, spread out, the same every time."""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autollmresearch.live.candidates import candidates, nearest_legal
from llmconfig_gym.parameter import Categorical, Grid, Integer, Parameter, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

MIXED = Space(
    (
        Real("lr", 1e-5, 1e-1, log=True),
        Integer("layers", 2, 48),
        Integer("width", 64, 8192, log=True),
        Grid("batch", (16, 32, 64, 128), log=True),
        Categorical("norm", ("rms", "layer")),
        Categorical("bias", (True, False)),
        Simplex("data", ("web", "code", "books")),
    )
)

HASH = "PYTHONHASHSEED"


def _rows(pool: Pool) -> list[str]:
    return [json.dumps(pool.config(row), sort_keys=True) for row in range(len(pool))]


def test_a_small_space_of_choices_is_taken_whole() -> None:
    space = Space((Grid("batch", (16, 32, 64)), Categorical("norm", ("rms", "layer")), Integer("layers", 2, 5)))
    pool = candidates(space, include=[{"batch": 32, "norm": "rms", "layers": 3}])
    assert len(set(_rows(pool))) == len(pool) == 3 * 2 * 4


def test_a_grid_of_too_many_combinations_becomes_a_design_without_repeats() -> None:
    space = Space(tuple(Grid(f"g{i}", tuple(range(4))) for i in range(6)))
    pool = candidates(space, size=1000)
    assert len(set(_rows(pool))) == len(pool)
    assert 800 < len(pool) <= 1000


def test_every_candidate_is_legal_and_none_is_there_twice() -> None:
    pool = candidates(MIXED)
    assert len(set(_rows(pool))) == len(pool) == 2048
    assert (pool.encoded >= 0).all()
    assert (pool.encoded <= 1).all()
    for row in range(0, len(pool), 97):
        config = pool.config(row)
        assert MIXED.check(config) == config


def test_the_design_is_spread_over_each_scale() -> None:
    """A parameter's candidates are uniform on its own scale; mixture weights are uniform on the simplex."""
    pool = candidates(MIXED)
    for name in ("lr", "width"):
        log = np.log(pool.columns[name])
        assert np.histogram(log, bins=4)[0] == pytest.approx(len(pool) / 4, rel=0.05)
    for name in ("batch", "norm", "bias"):
        counts = np.unique(pool.columns[name], return_counts=True)[1]
        assert counts == pytest.approx(len(pool) / len(counts), rel=0.05)
    weights = pool.columns["data"]
    assert weights.mean(axis=0) == pytest.approx(1 / 3, abs=0.01)
    assert weights.var(axis=0) == pytest.approx(1 / 18, rel=0.05)  # of the flat Dirichlet distribution of three


def test_the_same_seed_gives_the_same_candidates_and_another_seed_others() -> None:
    assert _rows(candidates(MIXED)) == _rows(candidates(MIXED))
    assert _rows(candidates(MIXED)) != _rows(candidates(MIXED, seed=1))


@pytest.mark.parametrize("first", [0, 1])
def test_equal_spaces_of_other_numbers_have_their_own_candidates(first: int) -> None:
    lr = Real("lr", 1e-4, 1.0, log=True)
    whole, real = Space((lr, Grid("batch", (64, 128)))), Space((lr, Grid("batch", (64.0, 128.0))))
    assert whole == real
    kinds = {repr(s): type(candidates(s).config(0)["batch"]) for s in ((whole, real), (real, whole))[first]}
    assert kinds == {repr(whole): int, repr(real): float}


def test_another_process_gets_the_same_candidates() -> None:
    """Nothing depends on hash randomisation."""
    code = (
        "from autollmresearch.live.candidates import candidates; from llmconfig_gym.space import Space\n"
        "from llmconfig_gym.parameter import *\n"
        "s = Space((Real('lr', 1e-5, 1e-1, log=True), Categorical('norm', ('rms', 'layer'))))\n"
        "print(candidates(s).columns['lr'].tolist(), candidates(s).columns['norm'].tolist())"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, env=os.environ | {HASH: seed}, check=True)
        for seed in ("1", "2")
    ]
    assert outputs[0].stdout == outputs[1].stdout != b""


def test_real_numbers_are_written_with_three_digits_where_that_is_no_loss() -> None:
    pool = candidates(Space((Real("lr", 1e-5, 1e-1, log=True), Real("width", 1000.0, 1001.0))))
    assert all(v == float(f"{v:.2e}") for v in pool.columns["lr"].tolist())
    assert len(np.unique(pool.columns["width"])) > 500  # three digits would leave one value


def test_what_must_be_included_is_there_once_and_legal() -> None:
    config = nearest_legal(MIXED, candidates(MIXED).config(5))
    beyond = config | {"lr": 1.0, "layers": 100, "batch": 1000}
    pool = candidates(MIXED, include=[config, beyond, dict(config)])
    rows = [pool.config(row) for row in range(len(pool))]
    assert rows[0] == config
    assert rows[1] == config | {"lr": 0.1, "layers": 48, "batch": 128}
    assert sum(MIXED.same(row, config) for row in rows) == 1


_WIDTHS = st.one_of(st.just(0), st.integers(1, 10**9))
_PARAMETERS = st.one_of(
    st.builds(lambda low, w, log: Real("x", low, low + w, log=log), st.floats(1e-9, 1e3), _WIDTHS, st.booleans()),
    st.builds(lambda low, w, log: Integer("x", low, low + w, log=log), st.integers(1, 9), _WIDTHS, st.booleans()),
    st.builds(lambda n: Grid("x", tuple(float(2**k) for k in range(n)), log=True), st.integers(1, 40)),
    st.builds(lambda n: Simplex("x", tuple(f"c{k}" for k in range(n))), st.integers(2, 9)),
)


@given(parameter=_PARAMETERS, seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_any_space_has_candidates(parameter: Parameter, seed: int) -> None:
    """`Pool` itself refuses values that are not legal; so it is enough that there are some, all different."""
    pool = candidates(Space((parameter, Categorical("k", ("p", "q")))), size=64, seed=seed)
    assert len(pool) >= 2
    assert len(set(_rows(pool))) == len(pool)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_what_is_included_is_there_once_and_in_no_other_spelling(seed: int) -> None:
    """As comparing every pair would have it, by what three digits tell, the first of equals staying."""
    rng = np.random.default_rng(seed)
    drawn = [MIXED.decode(rng.random(MIXED.width)) for _ in range(6)]
    design = candidates(MIXED, size=64, seed=seed)
    drawn += [design.config(3), design.config(60)]
    near = [{**c, "lr": float(str(c["lr"])) * (1 + rng.uniform(-0.006, 0.006))} for c in drawn for _ in range(3)]
    include = [nearest_legal(MIXED, c) for c in rng.permutation(np.array([*drawn, *near], dtype=object))]
    wanted: list[dict[str, Any]] = []
    for config in include:
        if not any(MIXED.same(config, other) for other in wanted):
            wanted.append(config)
    others = [design.config(row) for row in range(len(design))]
    expected = [*wanted, *(c for c in others if not any(MIXED.same(c, other) for other in wanted))]
    found = candidates(MIXED, size=64, seed=seed, include=include)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.encoded, Pool.from_configs(MIXED, expected).encoded, rtol=0, atol=1e-12)
    assert len(expected) < 64 + len(include)
