"""Twisted suites: what is cut, shifted or mirrored, what stays, and that outcomes stay with their rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.catalog import SOURCES, load_suite
from llmconfig_gym.cli.main import main
from llmconfig_gym.errors import InvalidTwist
from llmconfig_gym.experiment import LEVELS, Experiment, Fidelity
from llmconfig_gym.parameter import Categorical, FloatArray, Grid, Integer, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite
from llmconfig_gym.twist import HOWS, How, twist

Make = Callable[..., Experiment]
CARD = Card("A suite", "MIT", "Nobody: Nothing", "https://example.org", "tests/1", ("one note",))


def at_all_levels(e: Experiment) -> list[Experiment]:
    """The same table as a low, a medium and a high experiment of one family."""
    name = e.id.partition("/")[2]
    return [
        replace(e, id=f"test/{name}-{level}", level=level, fidelity=Fidelity({}, 10.0**i))
        for i, level in enumerate(LEVELS)
    ]


@pytest.fixture(scope="module")
def four(experiments: Mapping[str, Experiment]) -> Suite:
    """The four synthetic experiments, each at three levels."""
    return Suite.of("test", CARD, [made for e in experiments.values() for made in at_all_levels(e)])


@pytest.fixture(params=("micro", *SOURCES))
def measured(request: pytest.FixtureRequest) -> Suite:
    """The embedded suite and the public ones in turn."""
    name: str = request.param
    found: Suite = request.getfixturevalue("suite")(name) if name in SOURCES else load_suite(name)
    return found


def pairs(twisted: Suite, source: Suite) -> Iterator[tuple[Experiment, Experiment]]:
    """Each twisted experiment with the one it was made of."""
    for id_ in twisted.ids:
        yield twisted.experiment(id_), source.experiment(f"{source.name}/{id_.partition('/')[2]}")


def outcomes(e: Experiment) -> list[str]:
    """Every row's configuration, value, details, spread and replicates in words (NaN is NaN there)."""
    extra = [c for c in (e.spread, e.replicates) if c is not None]
    return [repr((e.outcome(row), *(c[row] for c in extra))) for row in range(len(e.pool))]


def everything(suite: Suite) -> dict[str, tuple[Space, str]]:
    return {s.id: (suite.experiment(s.id).space, s.digest) for s in suite.summaries}


def grids(e: Experiment) -> list[Grid]:
    return [p for p in e.space.parameters if isinstance(p, Grid)]


def source_grid(e: Experiment, name: str) -> Grid:
    p = e.space[name]
    assert isinstance(p, Grid)
    return p


# Dropped.


@pytest.mark.parametrize("seed", range(4))
def test_a_third_of_each_grid_of_a_target_is_dropped_and_the_rest_is_all_there(four: Suite, seed: int) -> None:
    lost = {1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 6: 2}
    for e, source in pairs(twist(four, "dropped", seed=seed), four):
        if e.level != "high":
            assert (e.space, outcomes(e)) == (source.space, outcomes(source))
            continue
        for p in grids(e):
            levels = source_grid(source, p.name).levels
            assert set(p.levels) < set(levels) or len(levels) < 3
            assert len(p.levels) == len(levels) - lost[len(levels)]
        legal = {p.name: p.levels for p in grids(e)}
        left = [
            outcome
            for row, outcome in enumerate(outcomes(source))
            if all(source.pool.config(row)[name] in levels for name, levels in legal.items())
        ]
        assert not legal or (outcomes(e) == left and len(left) < len(source.pool))


def test_a_mixture_without_grids_loses_a_third_of_its_configurations(four: Suite) -> None:
    e, source = (s.experiment(f"{s.name}/mixture-high") for s in (twist(four, "dropped"), four))
    assert (len(source.pool), len(e.pool)) == (30, 20)
    assert e.space == source.space
    assert [o for o in outcomes(source) if o in outcomes(e)] == outcomes(e)


def test_a_space_of_ranges_loses_configurations_too(make: Make) -> None:
    pool = Pool(Space((Real("x", 0.0, 1.0),)), {"x": np.linspace(0, 1, 15)})
    suite = Suite.of("test", CARD, at_all_levels(make(pool, np.arange(15.0))))
    assert [s.configurations for s in twist(suite, "dropped").summaries] == [15, 15, 10]


# Shifted.


def test_targets_and_cheaper_experiments_keep_opposite_ends_of_each_grid(four: Suite) -> None:
    ends = set()
    for seed in range(8):
        made = twist(four, "shifted", seed=seed)
        for e, source in pairs(made, four):
            twin = made.experiment(e.id.replace("high", "low"))
            for p in grids(e) if e.level == "high" else []:
                levels = source_grid(source, p.name).levels
                third = {2: 0, 3: 1, 5: 2, 6: 2}[len(levels)]
                upper, lower = levels[third:], levels[: len(levels) - third]
                assert (p.levels, source_grid(twin, p.name).levels) in ((upper, lower), (lower, upper))
                ends.add((p.name, p.levels == upper))
            assert set(outcomes(e)) <= set(outcomes(source))
    assert {("lr", True), ("lr", False), ("batch_size", True), ("batch_size", False)} <= ends


@pytest.mark.parametrize("seed", range(4))
def test_a_mixture_is_shifted_along_one_component(four: Suite, seed: int) -> None:
    made = twist(four, "shifted", seed=seed)
    source = four.experiment("test/mixture-high").pool.columns["weights"]
    low, high = (made.experiment(f"test-shifted/mixture-{level}").pool.columns["weights"] for level in ("low", "high"))
    assert len(low) == len(high) == 20

    def split(i: int, small: FloatArray, large: FloatArray) -> bool:
        ordered = np.sort(source[:, i])
        return bool((np.sort(small[:, i]) == ordered[:20]).all() and (np.sort(large[:, i]) == ordered[10:]).all())

    assert any(split(i, low, high) or split(i, high, low) for i in range(4))


def test_a_component_that_is_mostly_zero_is_not_what_a_mixture_is_shifted_along(make: Make) -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(3), 30)
    rare = np.zeros((30, 3))
    rare[:2, 0] = 0.1
    columns = np.concatenate([weights[:, :1], rare, weights[:, 1:]], axis=1)
    columns /= columns.sum(axis=1, keepdims=True)
    pool = Pool(Space((Simplex("w", tuple("abcdef")),)), {"w": columns})
    suite = Suite.of("test", CARD, at_all_levels(make(pool, np.arange(30.0))))
    for seed in range(10):
        low, _, high = (e.pool.columns["w"] for e, _ in pairs(twist(suite, "shifted", seed=seed), suite))
        apart = np.abs(low.mean(axis=0) - high.mean(axis=0))
        assert apart.argmax() in (0, 4, 5)
        assert apart.max() > 0.2


# Reversed.


def test_cheaper_levels_are_mirrored_and_the_target_is_as_measured(make: Make) -> None:
    bias = Categorical("bias", (True, False))
    space = Space((Grid("lr", (1e-4, 1e-3, 5e-3), log=True), Integer("layers", 1, 9), bias))
    configs = [dict(zip(space.names, c, strict=True)) for c in product((1e-4, 1e-3, 5e-3), (2, 3, 9), (True, False))]
    e = make(Pool.from_configs(space, configs), np.arange(18.0), details={"steps": np.arange(18.0) + 0.5})
    made = twist(Suite.of("test", CARD, at_all_levels(e)), "reversed")
    low, high = (made.experiment(f"test-reversed/synthetic-{level}") for level in ("low", "high"))
    lr, layers = {1e-4: 5e-3, 1e-3: 1e-3, 5e-3: 1e-4}, {2: 9, 3: 3, 9: 2}
    for row, config in enumerate(configs):
        there = {"lr": lr[config["lr"]], "layers": layers[config["layers"]], "bias": config["bias"]}
        assert (low.tell(there).value, low.tell(there).details) == (row, {"steps": row + 0.5})
        assert (high.tell(config).value, high.tell(config).kind) == (row, "measured")


def test_the_components_of_a_cheaper_mixture_stand_in_reversed_order(four: Suite) -> None:
    made = twist(four, "reversed")
    source = four.experiment("test/mixture-low")
    assert made.experiment("test-reversed/mixture-low").space == source.space
    for row in range(len(source.pool)):
        weights = source.pool.config(row)["weights"]
        assert isinstance(weights, Mapping)
        turned = dict(zip(weights, reversed(weights.values()), strict=True))
        assert made.experiment("test-reversed/mixture-low").tell({"weights": turned}).value == source.values[row]


def test_reversed_twice_is_the_identity(measured: Suite) -> None:
    once = twist(measured, "reversed")
    changed = [
        e.level
        for e, before in pairs(once, measured)
        if any(not np.array_equal(e.pool.columns[n], before.pool.columns[n]) for n in e.space.names)
    ]
    assert changed == [s.level for s in measured.summaries if s.level != "high"]
    for e, before in pairs(twist(once, "reversed"), measured):
        assert e.space == before.space
        assert all(np.array_equal(e.pool.columns[n], before.pool.columns[n]) for n in e.space.names)
        assert np.array_equal(e.values, before.values, equal_nan=True)


# All three.


@pytest.mark.parametrize("how", HOWS)
def test_every_suite_can_be_twisted_and_its_pools_stay_unique(how: How, measured: Suite, tmp_path: Path) -> None:
    made = twist(measured, how)
    assert {s.level for s in made.summaries} == set(LEVELS)
    made.save(tmp_path / "made")
    loaded = Suite.load(tmp_path / "made")
    assert everything(loaded) == everything(made)
    assert loaded.card == made.card
    for e, before in pairs(loaded, measured):
        assert 8 <= np.isfinite(e.values).sum() <= len(e.pool) <= len(before.pool)
        assert (e.metric, e.clip, e.fidelity, e.family) == (before.metric, before.clip, before.fidelity, before.family)
        rows, exact = e.pool.find_many(e.pool.columns)
        assert exact.all()
        assert np.array_equal(rows, np.arange(len(e.pool)))
        if how != "reversed":
            values, rows, exact = before.tell_many(e.pool.columns)
            assert exact.all()
            assert np.array_equal(values, e.values, equal_nan=True)
            assert all(np.array_equal(before.details[n][rows], c, equal_nan=True) for n, c in e.details.items())


@pytest.mark.parametrize("how", HOWS)
def test_a_twist_is_the_same_every_time_and_looks_at_no_outcome(how: How, make: Make, four: Suite) -> None:
    assert everything(twist(four, how, seed=3)) == everything(twist(four, how, seed=3))
    pool = four.experiment("test/pretraining-low").pool
    values = np.arange(float(len(pool)))
    one, other = (Suite.of("test", CARD, at_all_levels(make(pool, v))) for v in (values, -values))
    for id_ in twist(one, how).ids:
        a, b = (twist(s, how).experiment(id_) for s in (one, other))
        assert a.space == b.space
        assert all(np.array_equal(a.pool.columns[n], b.pool.columns[n]) for n in a.space.names)


@pytest.mark.parametrize("how", ["dropped", "shifted"])
def test_draws_differ_between_seeds_families_and_parameters(how: How, make: Make) -> None:
    levels = tuple(range(1, 10))
    space = Space((Grid("a", levels), Grid("b", levels)))
    pool = Pool.from_configs(space, [{"a": a, "b": b} for a, b in product(levels, levels)])
    named = [make(pool, np.arange(81.0), name=family, family=family) for family in ("f", "g", "h")]
    suite = Suite.of("test", CARD, [made for e in named for made in at_all_levels(e)])
    spaces = [[twist(suite, how, seed=s).experiment(f"test-{how}/{f}-high").space for f in "fgh"] for s in range(4)]
    kept = {(s, f, p.name): p.levels for s in range(4) for f in range(3) for p in spaces[s][f].parameters}  # type: ignore[attr-defined]
    assert any(kept[0, 0, "a"] != kept[s, 0, "a"] for s in range(4))
    assert any(kept[s, 0, "a"] != kept[s, 1, "a"] for s in range(4))
    assert any(kept[s, 0, "a"] != kept[s, 0, "b"] for s in range(4))


@pytest.mark.parametrize("how", HOWS)
def test_experiments_above_the_targets_are_left_out(how: How, four: Suite) -> None:
    made = twist(four, how, targets="medium")
    assert {s.level for s in made.summaries} == {"low", "medium"}
    assert made.experiment(f"test-{how}/grpo-medium").pool.rows == {"dropped": 8, "shifted": 8, "reversed": 18}[how]


@pytest.mark.parametrize("how", HOWS)
def test_the_card_says_that_and_how_it_is_derived(how: How, four: Suite) -> None:
    made = twist(four, how, seed=5, targets="medium")
    assert made.name == f"test-{how}"
    assert made.card.title == f"{how.capitalize()} (derived, not measured): A suite"
    assert f"llmconfig-gym twist test --how {how} --seed 5 --targets medium" in made.card.notes[0]
    assert "no measured suite of its own" in made.card.notes[0]
    assert made.card.notes[-1] == "Of the source: one note"
    assert (made.card.licence, made.card.citation, made.card.url) == (CARD.licence, CARD.citation, CARD.url)


def test_what_is_left_with_too_few_outcomes_is_left_out_and_named(make: Make) -> None:
    def line(name: str, values: list[float]) -> list[Experiment]:
        pool = Pool(Space((Grid("x", tuple(range(len(values)))),)), {"x": np.arange(len(values))})
        return at_all_levels(make(pool, values, name=name, family=name))

    numbers = [float(i) for i in range(12)]
    diverged = line("diverged", [*numbers[:7], *[math.nan] * 5])  # eight rows are left, at most seven with a value
    short, enough = line("short", numbers[:11]), line("enough", numbers)  # seven and eight are left
    made = twist(Suite.of("test", CARD, [*short, *enough, *diverged]), "dropped")
    assert [i for i in made.ids if i.endswith("high")] == ["test-dropped/enough-high"]
    assert [i for i in made.ids if i.endswith("low")] == [
        f"test-dropped/{n}-low" for n in ("short", "enough", "diverged")
    ]
    assert "Left out, with fewer than 8 finite outcomes remaining: short-high, diverged-high." in made.card.notes
    with pytest.raises(InvalidTwist, match="has no high experiment with 8 or more finite outcomes left when dropped"):
        twist(Suite.of("test", CARD, short), "dropped")


def test_what_cannot_be_shifted_or_reversed_is_refused(make: Make, four: Suite) -> None:
    words = tuple("abcdefghij")
    space = Space((Categorical("act", words), Grid("one", (1,))))
    pool = Pool(space, {"act": np.array(words), "one": np.ones(10, dtype=np.int64)})
    suite = Suite.of("test", CARD, at_all_levels(make(pool, np.arange(10.0))))
    with pytest.raises(InvalidTwist, match="test/synthetic-low has no grid of three or more levels and no mixture"):
        twist(suite, "shifted")
    with pytest.raises(InvalidTwist, match="test/synthetic-low has no ordered parameter or mixture that varies"):
        twist(suite, "reversed")
    with pytest.raises(InvalidTwist, match="must be 0 or more, found -1"):
        twist(four, "dropped", seed=-1)


# The command.


def test_the_command_writes_a_suite_that_can_be_learned_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    arguments = ["twist", "micro", "--how", "shifted", "--targets", "medium", "--seed", "2", "--out", str(out)]
    assert main([*arguments, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    made = load_suite(str(out))
    assert everything(made) == everything(twist(load_suite("micro"), "shifted", seed=2, targets="medium"))
    assert [e["id"] for e in document["experiments"]] == list(made.ids)
    assert all(e["configurations"] < e["configurations_before"] for e in document["experiments"])
    assert all(made.cheaper(e.id) for e in made.split("medium"))
    before = sorted((p, p.stat().st_mtime_ns) for p in out.rglob("*"))
    assert main(arguments) == 2
    assert "exists already; choose another place with --out" in capsys.readouterr().err
    assert sorted((p, p.stat().st_mtime_ns) for p in out.rglob("*")) == before


def test_the_command_shows_what_became_of_each_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twist", "micro", "--how", "dropped", "--out", str(tmp_path / "made")]) == 0
    shown = capsys.readouterr().out
    assert "micro-dropped/N98k-D1M" in shown
    assert "note: Derived from the suite micro, not measured anew" in shown
    assert "Of the source" not in shown
