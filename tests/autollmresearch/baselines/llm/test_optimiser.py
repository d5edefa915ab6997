"""What holds for every language-model optimiser, with scripted models."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from autollmresearch.baselines.llm.centaur import Centaur
from autollmresearch.baselines.llm.direct import Direct
from autollmresearch.baselines.llm.llambo import ROUNDS, Llambo
from autollmresearch.baselines.llm.named import OPTIMISERS
from autollmresearch.baselines.llm.opro import Opro
from autollmresearch.baselines.llm.optimiser import LLMOptimiserPolicy, Optimiser
from autollmresearch.baselines.llm.sllmbo import Sllmbo
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.dialogue import Style, action
from autollmresearch.episode import Trajectory, run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import State, Usage
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.text import number

Problems = Callable[..., Problem]
Lonely = Callable[[Experiment, int], Problem]
WAYS: Mapping[str, Optimiser] = {
    "direct": Direct(),
    "opro": Opro(),
    "llambo": Llambo(candidates=3, samples=2),
    "sllmbo": Sllmbo(),
    "centaur": Centaur(),
}
every_way = pytest.mark.parametrize("way", WAYS)


def found(target: Experiment, episodes: list[Trajectory]) -> int:
    """How many episodes came to the very best configuration."""
    return sum(any(o.value == target.metric.sign * target.best for o in e.outcomes) for e in episodes)


def test_every_optimiser_is_here() -> None:
    assert set(WAYS) == set(OPTIMISERS)


@every_way
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_with_a_good_model_it_beats_random_search_clearly(
    bowl: Any, lonely: Lonely, fitter: Any, fits: Any, model: Any, way: str, direction: str
) -> None:
    """Seven of 40 configurations are tried: by chance the best is found in two of twelve episodes."""
    target = bowl(direction)
    problems, seeds = [lonely(target, 7)] * 12, list(range(12))
    dull = model(lambda p, s: fits("<value>" * ("<value>" in p) + "x 1", s))  # sees no trial, so it guesses
    episodes, guessed, chance = (
        run_episodes(policy, [target] * 12, problems, seeds)
        for policy in (LLMOptimiserPolicy(WAYS[way], fitter), LLMOptimiserPolicy(WAYS[way], dull), RandomPolicy())
    )
    assert found(target, episodes) == 12
    assert found(target, guessed) < 6
    assert found(target, chance) < 6
    assert all(o.kind == "measured" for e in episodes for o in e.outcomes)


@every_way
@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
def test_on_every_space_proposals_are_legal_repeatable_and_never_told_before(
    targets: Mapping[str, Experiment], problem_of: Problems, model: Any, way: str, task: str
) -> None:
    target = targets[task]
    problem = problem_of(target, budget=7)

    def answer(prompt: str, seed: int) -> str:
        return "<value>3.1</value>" if "<value>" in prompt else action(target.pool.config(seed % 6), "hm")

    first, again = (
        run_episodes(LLMOptimiserPolicy(WAYS[way], model(answer)), [target] * 2, [problem] * 2, [3, 4])
        for _ in range(2)
    )
    for episode, same in zip(first, again, strict=True):
        assert [t.proposal for t in episode.turns] == [t.proposal for t in same.turns]
        assert [o.kind for o in episode.outcomes] == ["measured"] * 7
    assert first[0].outcomes != first[1].outcomes


@every_way
def test_a_prompt_holds_what_was_told_and_no_other_outcome_of_the_target(
    line: Callable[..., Experiment], lonely: Lonely, model: Any, way: str
) -> None:
    """Every value is a number of its own, which no setting and no arithmetic gives."""
    values = (1234.5 + 1.37 * np.random.default_rng(0).permutation(40)).tolist()
    target = line(values)
    texts = {number(v, 5) for v in values}
    problem = lonely(target, 6)
    scripted = model(
        lambda p, s: "<value>1300</value>" if "<value>" in p else f'<config>{{"x": {1 + s % 40}}}</config>'
    )
    policy = LLMOptimiserPolicy(WAYS[way], scripted)
    told: tuple[Any, ...] = ()
    ever: set[str] = set()
    for _ in range(6):
        scripted.prompts.clear()
        (proposal,) = policy.propose([State(problem, told)])
        known = {number(o.value, 5) for o in told}
        for prompt in scripted.prompts:
            shown = {t for t in texts if t in prompt}
            assert shown == known or (way == "llambo" and not shown)  # its warm start is shown no outcome
            assert target.id not in prompt
            ever |= shown
        told = (*told, target.tell(proposal.config))
    assert ever, "it reads of its trials at all"


@every_way
def test_of_the_cheaper_runs_it_is_shown_what_the_protocol_gives_and_the_style_says(
    targets: Mapping[str, Experiment], problem_of: Problems, toy: Any, model: Any, way: str
) -> None:
    target = targets["pretraining"]
    problem = problem_of(target, "metered:4", budget=3)
    given = {number(float(v), 5) for runs in problem.cheaper for v in runs.losses}
    everything = {number(float(v), 5) for e in toy.cheaper(target.id) for v in e.losses}
    scripted = model(lambda p, s: action(target.pool.config(s % 9)))
    policy = LLMOptimiserPolicy(WAYS[way], scripted)
    told = (target.outcome(0), target.outcome(3))
    policy.propose([State(problem, told)])
    hidden = type(WAYS[way])(style=Style(top=0, fidelity=False))
    LLMOptimiserPolicy(hidden, scripted).propose([State(problem, told)])
    shown, bare = scripted.prompts[0], scripted.prompts[-1]
    assert {v for v in everything if re.search(rf"{re.escape(v)}\b", shown)} == given
    assert "Target: parameters" in shown
    assert not any(v in bare for v in given)
    assert "Target:" not in bare


@every_way
def test_what_is_no_configuration_costs_the_trial_and_is_told_next_time(
    bowl: Any, lonely: Lonely, model: Any, way: str
) -> None:
    target = bowl()
    scripted = model(lambda p, s: "I would rather not.")
    (episode,) = run_episodes(LLMOptimiserPolicy(WAYS[way], scripted), [target], [lonely(target, 6)], [0])
    asked = [bool(t.proposal.prompt) for t in episode.turns]
    assert [t.outcome.kind for t in episode.turns] == ["invalid" if a else "measured" for a in asked]
    assert all(t.proposal.config == "I would rather not." for t in episode.turns if t.proposal.prompt)
    assert any(asked)
    assert "no configuration was found" in scripted.prompts[-1]


def test_candidates_are_asked_for_again_until_one_is_legal(bowl: Any, lonely: Lonely, model: Any) -> None:
    target = bowl()
    state = State(lonely(target, 9), tuple(target.outcome(row) for row in (0, 20, 39)))
    refuses = model(lambda p, s: "no")
    (lost,) = LLMOptimiserPolicy(Llambo(candidates=4, samples=5), refuses).propose([state])
    assert refuses.rounds == [4] * ROUNDS
    assert lost.config == "no"
    answers = iter(["no"] * 4 + ['<config>{"x": 9}</config>'] * 4 + ["<value>2</value>"] * 5)
    later = model(lambda p, s: next(answers))
    (found,) = LLMOptimiserPolicy(Llambo(candidates=4, samples=5), later).propose([state])
    assert later.rounds == [4, 4, 5]
    assert (found.config, found.mean, found.sd) == ({"x": 9}, 2.0, 0.0)


@every_way
def test_all_that_was_asked_is_billed(bowl: Any, lonely: Lonely, fitter: Any, way: str) -> None:
    target = bowl()
    episodes = run_episodes(LLMOptimiserPolicy(WAYS[way], fitter), [target] * 3, [lonely(target, 5)] * 3, [0, 1, 2])
    usages = [t.proposal.usage for e in episodes for t in e.turns]
    asked = len(fitter.prompts)
    assert asked == sum(fitter.rounds) > 0
    assert (sum(u.read for u in usages), sum(u.wrote for u in usages)) == (100 * asked, 10 * asked)
    assert sum(u.cost for u in usages) == pytest.approx(0.5 * asked)


def test_the_rounds_of_a_batch_are_asked_together_and_answers_find_their_states(
    bowl: Any, lonely: Lonely, model: Any
) -> None:
    """One state is in its warm start, one samples candidates, one is CMA-ES's alone."""
    target = bowl()
    problem = lonely(target, 9)
    told = tuple(target.outcome(row) for row in (0, 20, 39))
    states = [State(problem, told[:1], 1), State(problem, told, 2), State(problem, told, 3)]
    way = Llambo(candidates=3, samples=2)

    def answer(prompt: str, seed: int) -> str:
        return f"<value>{seed % 97}</value>" if "<value>" in prompt else f'<config>{{"x": {1 + seed % 40}}}</config>'

    together, alone = model(answer), model(answer)
    proposals = LLMOptimiserPolicy(way, together).propose(states)
    assert proposals == [LLMOptimiserPolicy(way, alone).propose([state])[0] for state in states]
    assert together.rounds[0] == 1 + 3 + 3
    assert len(together.rounds) == 2
    assert proposals[0].usage == Usage(100, 10, 0.5)


def test_it_is_whoever_answers(fitter: Any) -> None:
    assert LLMOptimiserPolicy(Direct(), fitter).identity() == {"model": "scripted"}
