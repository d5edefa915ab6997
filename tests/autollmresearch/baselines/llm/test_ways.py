"""What each optimiser's paper promises: what it asks for, in which order, and how it decides."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autollmresearch.baselines.llm.centaur import Centaur, coordinates
from autollmresearch.baselines.llm.cma import STEP, population, replay
from autollmresearch.baselines.llm.direct import Direct
from autollmresearch.baselines.llm.llambo import Llambo, expected_improvement, predicted
from autollmresearch.baselines.llm.opro import PAIRS, Opro
from autollmresearch.baselines.llm.optimiser import LLMOptimiserPolicy
from autollmresearch.baselines.llm.sllmbo import TPE, Sllmbo
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Categorical, Grid, Simplex
from llmconfig_gym.space import Space
from llmconfig_gym.text import number

Lonely = Callable[[Experiment, int], Problem]
CONFIG = '<config>{"x": 9}</config>'


@pytest.fixture
def state(bowl: Any, lonely: Lonely, state_at: Callable[..., State]) -> State:
    """Five trials of the parabola, in no order."""
    return state_at(bowl(), lonely(bowl(), 12), [5, 30, 18, 11, 39], 1)


def test_direct_prompting_tells_all_trials_in_order_and_what_is_left(state: State, bowl: Any) -> None:
    trials = (*state.trials, bowl().tell({"x": "many"}))
    prompt = Direct().prompt(State(state.problem, trials))
    assert "\n1. x 6: score 632.\n2. x 31: score 7.\n" in prompt
    assert re.findall(r"^(\d)\. ", prompt, re.MULTILINE) == ["1", "2", "3", "4", "5", "6"]
    assert "6. invalid: " in prompt
    assert "6 trials left" in prompt
    assert "12 trials left" in Direct().prompt(State(state.problem))


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_opro_sorts_the_best_last_and_shows_no_more_than_20(
    bowl: Any, lonely: Lonely, state_at: Callable[..., State], direction: str
) -> None:
    target = bowl(direction)
    state = state_at(target, lonely(target, 40), range(25))
    lines = re.findall(r"^x (\d+): (.*)$", Opro().prompt(state), re.MULTILINE)
    assert len(lines) == PAIRS
    values = [float(v) for _, v in lines]
    assert values == sorted(values, reverse=direction == "minimize")
    assert lines[-1][0] == "25"
    assert "different from all above" not in Opro().prompt(State(state.problem))
    assert f"score is {'lower' if direction == 'minimize' else 'higher'} than" in Opro().prompt(state)


def test_llambo_starts_from_descriptions_alone(state: State, model: Any) -> None:
    scripted = model(lambda p, s: CONFIG)
    early = State(state.problem, state.trials[:2])
    LLMOptimiserPolicy(Llambo(startup=3), scripted).propose([early])
    assert scripted.rounds == [1]
    assert "x 6\nx 31\n" in scripted.prompts[0]
    assert "632" not in scripted.prompts[0], "no outcome is shown"
    assert "starting point 3 of 3" in scripted.prompts[0]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_llambo_samples_at_the_target_value_and_takes_the_greatest_expected_improvement(
    bowl: Any, lonely: Lonely, state_at: Callable[..., State], model: Any, direction: str
) -> None:
    """Of x = 10, 20 and 29 the last is predicted best; each prompt has the trials in an order of its own."""
    target = bowl(direction)
    state = state_at(target, lonely(target, 12), [5, 20, 11])
    xs = iter([10, 20, 29, 29, 20, 10])

    def answer(prompt: str, seed: int) -> str:
        if "<value>" not in prompt:
            return f'<config>{{"x": {next(xs)}}}</config>'
        x = int(re.findall(r"^x (\d+)$", prompt, re.MULTILINE)[-1])
        return f"<think>6 or 7</think><value>{target.values[x - 1] + seed % 3}</value>"

    scripted = model(answer)
    (proposal,) = LLMOptimiserPolicy(Llambo(candidates=6, samples=4, alpha=0.1), scripted).propose([state])
    assert scripted.rounds == [6, 3 * 4], "what was said twice is predicted once"
    assert proposal.config == {"x": 29}
    assert proposal.mean == pytest.approx(target.values[28] + 1, abs=1)
    assert proposal.sd is not None
    assert 0 < proposal.sd <= 1
    losses = target.losses[[5, 20, 11]]
    wanted = target.metric.sign * (losses.min() - 0.1 * (losses.max() - losses.min()))
    assert all(f"can reach the score {wanted:g} (" in p for p in scripted.prompts[:6])
    orders = {tuple(re.findall(r"^x \d+: .*$", p, re.MULTILINE)) for p in scripted.prompts}
    assert len(orders) > 2
    assert len({frozenset(order) for order in orders}) == 1


def test_a_run_that_blew_up_does_not_put_the_target_value_out_of_reach(
    line: Callable[..., Experiment], lonely: Lonely, state_at: Callable[..., State]
) -> None:
    target = line([2.0, 3.0, 900.0, 4.0], clip=1.5)
    state = state_at(target, lonely(target, 9), [0, 1, 2])
    assert "can reach the score 1.9 (" in Llambo(alpha=0.1).candidate_prompt(state, state.rng())


def test_without_a_readable_prediction_the_first_candidate_is_taken(state: State, model: Any) -> None:
    scripted = model(lambda p, s: "who knows" if "<value>" in p else CONFIG)
    (proposal,) = LLMOptimiserPolicy(Llambo(candidates=2, samples=2), scripted).propose([state])
    assert (proposal.config, proposal.mean, proposal.sd) == ({"x": 9}, None, None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<value>3.25</value>", 3.25),
        ("<value> -1e-3 </value>", -1e-3),
        ("<think>2 or <value>4</value></think>\n<value>.5</value>", 0.5),
        (" 12 ", 12.0),
        ("about 12", None),
        ("<value>many</value>", None),
        ("", None),
    ],
)
def test_a_prediction_is_a_number_in_the_tag_or_alone(text: str, value: float | None) -> None:
    read = predicted(Proposal(text))
    assert np.isnan(read) if value is None else read == value


def test_expected_improvement_is_the_mean_of_improvements() -> None:
    draws = np.random.default_rng(0).normal(2.3, 0.6, 400_000)
    assert expected_improvement(2.0, 2.3, 0.6) == pytest.approx(np.maximum(2.0 - draws, 0).mean(), rel=0.01)
    assert expected_improvement(2.0, 1.5, 0.0) == 0.5
    assert expected_improvement(2.0, 2.5, 0.0) > expected_improvement(2.0, 3.0, 0.0)


def test_sllmbo_takes_turns_with_tpe_and_begins_itself(state: State, model: Any) -> None:
    scripted = model(lambda p, s: CONFIG)
    policy = LLMOptimiserPolicy(Sllmbo(), scripted)
    states = [State(state.problem, state.trials[:n], 4) for n in range(5)]
    proposals = [policy.propose([s])[0] for s in states]
    assert [p.config == {"x": 9} for p in proposals] == [True, False, True, False, True]
    assert [proposals[n] for n in (1, 3)] == [TPE.propose([states[n]])[0] for n in (1, 3)]
    assert len(scripted.prompts) == 3
    first, _, last = scripted.prompts
    assert "Choose a first configuration" in first
    assert "Best so far (lower is better): x 31: 7" in last


def test_centaur_asks_every_third_time_and_shows_the_state_of_cma_es(
    bowl: Any, lonely: Lonely, state_at: Callable[..., State], model: Any
) -> None:
    target = bowl()
    scripted = model(lambda p, s: CONFIG)
    policy = LLMOptimiserPolicy(Centaur(), scripted)
    rows = [5, 30, 18, 11, 39, 0, 2, 8]
    states = [state_at(target, lonely(target, 12), rows[:n], 4) for n in range(9)]
    asked = [policy.propose([s])[0].config == {"x": 9} for s in states]
    assert [n for n, a in enumerate(asked) if a] == [2, 5]  # at 8 x = 9 was told already
    assert len(scripted.prompts) == 3
    early, _, late = scripted.prompts
    assert f"mean: x 21\nstep size: {number(STEP)}\nstandard deviations: x {number(STEP)}\n" in early
    search = replay(target.pool.encoded[rows], target.losses[rows], 1)
    assert f"step size: {number(search.step)}\nstandard deviations: x {number(search.deviations[0])}\n" in late
    assert "its next proposal: x " in late
    assert "Best trials:\nx 31: 7\n" in late


def test_coordinates_are_named_in_the_order_of_the_encoding() -> None:
    space = Space((Grid("lr", (1, 2)), Categorical("bias", (True, False)), Simplex("w", ("a", "b", "c"))))
    assert coordinates(space) == ["lr", "bias=true", "bias=false", "w.a", "w.b", "w.c"]
    assert len(coordinates(space)) == space.width


def test_cma_es_finds_the_bottom_of_a_narrow_valley() -> None:
    """A quadratic 100 times steeper along one oblique axis, bottom at (0.7, 0.3)."""
    rng = np.random.default_rng(0)
    points, losses = np.empty((0, 2)), np.empty(0)
    for _ in range(60 * population(2)):
        x = replay(points, losses, 2).draw(rng)
        a, b = x - [0.7, 0.3]
        points, losses = np.vstack([points, x]), np.append(losses, (a + b) ** 2 + 100 * (a - b) ** 2)
    search = replay(points, losses, 2)
    assert search.mean == pytest.approx([0.7, 0.3], abs=1e-3)
    assert search.step < STEP / 10
    correlation = search.covariance[0, 1] / np.sqrt(np.prod(np.diag(search.covariance)))
    assert correlation > 0.8


def test_cma_es_waits_for_a_whole_generation_and_learns_from_whoever_proposed() -> None:
    size = population(3)
    points = np.random.default_rng(1).random((size, 3))
    losses = points[:, 0]
    before, after = replay(points[:-1], losses[:-1], 3), replay(points, losses, 3)
    assert (before.mean == 0.5).all()
    assert (before.covariance == np.eye(3)).all()
    assert after.mean[0] < 0.5
