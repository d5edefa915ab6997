"""Landscapes: the gym's own parts, the same for the same seed, and worth learning from."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.dialogue import prompt
from autollmresearch.evidence.analyst import fit
from autollmresearch.methods import make_policy
from autollmresearch.training.evaluate import evaluate
from autollmresearch.training.landscapes import HELD_OUT, LandscapeSettings, draw, landscape, training_seed
from llmconfig_gym.env import ConfigEnv
from llmconfig_gym.errors import InvalidDescription
from llmconfig_gym.parameter import Grid
from llmconfig_gym.sources.names import forbidden_in

KINDS = ("pretraining", "grpo", "architecture", "mixture")


@pytest.fixture
def only() -> Callable[..., LandscapeSettings]:
    """Settings that draw one kind: `only("grpo", metered=0.0)`."""
    return lambda kind, **changes: LandscapeSettings(kinds={kind: 1.0}, **changes)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_landscape_and_another_one_for_another(
    kind: str, only: Callable[..., LandscapeSettings]
) -> None:
    settings = only(kind)
    one, same, other = (landscape(seed, settings) for seed in (3, 3, 4))
    assert prompt(one.problem) == prompt(same.problem)
    np.testing.assert_array_equal(one.experiment.values, same.experiment.values)
    np.testing.assert_array_equal(one.true, same.true)
    assert prompt(one.problem) != prompt(other.problem)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_fit_together(kind: str, only: Callable[..., LandscapeSettings]) -> None:
    settings = only(kind)
    for seed in range(60):
        drawn = landscape(seed, settings)
        e, p = drawn.experiment, drawn.problem
        assert e.task == p.task == kind
        assert p.pool is e.pool
        assert 1 <= p.budget <= len(e.pool)
        assert drawn.true.shape == e.losses.shape == (len(e.pool),)
        assert np.isfinite(drawn.true).all()
        assert e.best < e.worst
        costs = [runs.fidelity.cost for runs in p.cheaper]
        assert costs == sorted(costs)
        assert all(cost <= e.fidelity.cost for cost in costs)
        assert all(np.isfinite(runs.losses).all() and len(runs.losses) == len(runs.pool) for runs in p.cheaper)
        text = prompt(p)
        assert text.isascii()
        assert forbidden_in(text) == []


def test_environment_and_reward_work_on_them(only: Callable[..., LandscapeSettings]) -> None:
    for seed in range(20):
        e, p = draw(seed, only("pretraining", budgets=(2,)))
        env = ConfigEnv(e, p.budget)
        env.reset()
        best = e.pool.config(int(np.argmin(e.losses)))
        assert env.step(best)[1] == pytest.approx(1 / p.budget)
        assert env.history[0].kind == "measured"


@pytest.mark.parametrize("kind", KINDS)
def test_analyst_can_read_them(kind: str, only: Callable[..., LandscapeSettings]) -> None:
    e, p = draw(1, only(kind, cells=40, rows=30, metered=1.0, outcomes=(6, 6)))
    assert fit(p).mean.shape == (len(e.pool),)


@pytest.mark.parametrize("kind", KINDS)
def test_cheaper_runs_help(kind: str, only: Callable[..., LandscapeSettings]) -> None:
    settings = only(kind, metered=0.0)
    copied, guessed = (evaluate(make_policy(name), settings, range(100), budget=2) for name in ("copy", "random"))
    error = np.hypot(copied.reward_error, guessed.reward_error)
    assert copied.reward > guessed.reward + 3 * error


def test_the_best_moves_with_scale_and_copying_is_not_enough(only: Callable[..., LandscapeSettings]) -> None:
    settings = only("pretraining", metered=0.0, parameters=(1, 2), noise=(0.001, 0.002), octaves=(3, 4))
    told = evaluate(make_policy("copy"), settings, range(100), budget=1)
    assert told.regret[0] > 0.03
    levels = [landscape(seed, settings) for seed in range(50)]
    fell = [min(r.losses.min() for r in d.problem.cheaper) > d.experiment.best for d in levels]
    assert np.mean(fell) > 0.95


def test_some_runs_diverge(only: Callable[..., LandscapeSettings]) -> None:
    drawn = [draw(seed, only("pretraining"))[0] for seed in range(60)]
    assert any(np.isnan(e.values).any() for e in drawn)
    assert any(np.nanmax(e.values) > 1.4 * np.nanmin(e.values) for e in drawn)


def test_metered_problems_show_as_many_runs_as_asked(only: Callable[..., LandscapeSettings]) -> None:
    for seed in range(20):
        p = draw(seed, only("grpo", metered=1.0, outcomes=(7, 7), levels=(4, 6), parameters=(2, 3)))[1]
        assert sum(len(runs.losses) for runs in p.cheaper) == 7


def test_kinds_that_are_not_named_are_not_drawn() -> None:
    settings = LandscapeSettings(kinds={"mixture": 1.0, "grpo": 3.0})
    tasks = [draw(seed, settings)[1].task for seed in range(80)]
    assert set(tasks) == {"mixture", "grpo"}
    assert 40 < tasks.count("grpo") < 75


def test_training_never_draws_a_held_out_seed() -> None:
    assert training_seed(0, 0) == HELD_OUT
    assert len({training_seed(s, i) for s in range(3) for i in range(5)}) == 15
    assert training_seed(1, 0) > training_seed(0, 10**9)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kinds": {}}, "kinds maps some of"),
        ({"kinds": {"grpo": 0.0}}, "positive weights"),
        ({"kinds": {"vision": 1.0}}, "kinds maps some of"),
        ({"parameters": (3, 2)}, "parameters is a least and a most"),
        ({"parameters": (3,)}, "parameters is a least and a most"),
        ({"levels": (1, 2)}, "at least 2 levels"),
        ({"budgets": ()}, "budgets"),
    ],
)
def test_settings_out_of_range(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidDescription, match=said):
        replace(LandscapeSettings(), **changes)  # type: ignore[arg-type]


def test_the_usual_settings_under_their_usual_names(only: Callable[..., LandscapeSettings]) -> None:
    settings = only("pretraining", usual=2, parameters=(1, 2))
    names = {draw(seed, settings)[1].space.names for seed in range(40)}
    assert names == {("lr",), ("batch_size",), ("lr", "batch_size")}


def test_round_numbers_are_powers_of_two_or_1_3_10(only: Callable[..., LandscapeSettings]) -> None:
    settings = only("pretraining", usual=1, parameters=(1, 1), round_numbers=1.0)
    kinds = set()
    for seed in range(30):
        p = draw(seed, settings)[1].space["lr"]
        assert isinstance(p, Grid)
        digits = {f"{v:.0e}"[0] for v in p.levels}
        octaves = np.log2(p.levels)
        two = bool(np.abs(octaves - octaves.round()).max() < 0.01)
        assert two or digits <= {"1", "3"}
        kinds.add(two)
    assert kinds == {True, False}
