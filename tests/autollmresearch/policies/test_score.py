"""Scoring: the model's likelihood of every legal answer that was not given yet, exactly, and the likeliest is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autollmresearch.dialogue import Style, action
from autollmresearch.episode import run_episodes
from autollmresearch.errors import CheckpointProblem
from autollmresearch.evidence.analyst import Known, believed
from autollmresearch.evidence.posterior import proposals
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policies import score
from autollmresearch.policies.causal_lm import TOO_LONG, AgentSettings, CausalLMPolicy, recent
from autollmresearch.policies.score import answers, constrained, decided, draw, logprobs, probabilities
from autollmresearch.policy import State, Usage
from autollmresearch.thoughts import thought
from llmconfig_gym.action import read_action
from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.pool import Pool

STYLE = Style(top=2)


@pytest.fixture
def target(targets: Mapping[str, Experiment]) -> Experiment:
    return targets["pretraining"]


@pytest.fixture
def problem(target: Experiment, problem_of: Callable[..., Problem]) -> Problem:
    return problem_of(target, budget=3)


@pytest.fixture
def agent(tiny_model: Any, tiny_tokenizer: Any) -> CausalLMPolicy:
    return CausalLMPolicy(tiny_model, tiny_tokenizer, AgentSettings(STYLE, context=8000, score=True))


@pytest.mark.parametrize("together", [1 << 13, 64, 1])
def test_log_probabilities_are_those_of_one_pass_over_everything(
    agent: CausalLMPolicy, problem: Problem, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(score, "TOGETHER", together)  # 64: one or two answers at a time; 1: each alone
    past, new, _ = agent._read(State(problem))
    said = answers(State(problem), STYLE, agent.chat.words).ids[:7]
    assert len({len(s) for s in said}) > 1
    for found, words in zip(logprobs(agent.model, past + new, said), said, strict=True):
        with torch.no_grad():
            logits = agent.model(input_ids=torch.tensor([[*past, *new, *words]])).logits[0]
        known = torch.log_softmax(logits, -1)
        start = len(past) + len(new)
        assert found == pytest.approx([float(known[start + i - 1, w]) for i, w in enumerate(words)], abs=1e-4)


def test_answers_that_are_the_same_or_begin_alike(agent: CausalLMPolicy) -> None:
    """What all begin with is read once; at least one token of each is left to it."""
    read = agent.chat.start("?")
    for said in ([[9, 8, 7]], [[9, 8, 7], [9, 8]], [[9], [9, 8]], [[9, 8, 7], [9, 8, 6, 5]]):
        alone = [logprobs(agent.model, read, [s])[0] for s in said]
        for a, b in zip(logprobs(agent.model, read, said), alone, strict=True):
            assert a == pytest.approx(b, abs=1e-5)


def test_a_model_that_sees_through_a_window_cannot_score() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = MistralConfig(vocab_size=16, num_key_value_heads=1, sliding_window=4, **sizes)
    with pytest.raises(CheckpointProblem, match="a mistral with a window of attention cannot score"):
        logprobs(MistralForCausalLM(config).eval(), [1, 2], [[3, 4]])


def test_probabilities_are_those_of_a_model_that_may_write_only_these() -> None:
    log = np.log
    ids = [[1, 2, 9], [1, 3, 9], [4, 5, 9]]
    logs = [[log(0.3), log(0.02), log(0.5)], [log(0.3), log(0.06), log(0.1)], [log(0.1), log(1e-4), log(0.9)]]

    def shares(ids: list[list[int]], logs: list[list[float]]) -> list[float]:
        return [float(np.exp(sum(values))) for values in constrained(ids, logs)]

    assert shares(ids, logs) == pytest.approx([0.75 * 0.25, 0.75 * 0.75, 0.25]), "only 1 or 4, then only 2 or 3"
    assert shares([[1], [2]], [[-2000.0], [-2000.0]]) == pytest.approx([0.5, 0.5]), "of very unlikely answers, too"
    assert shares([[7, 8]], [[-3.0, -5.0]]) == pytest.approx([1])
    assert decided(ids) == [[1, 2], [1, 3], [4]]
    assert shares(decided(ids), [x[: len(d)] for x, d in zip(logs, decided(ids), strict=True)]) == pytest.approx(
        shares(ids, logs)
    )
    assert decided([[7, 8]]) == [[7]]


def test_probabilities_are_less_sure_the_more_they_are_calibrated() -> None:
    share = np.array([0.8, 0.2, 0.0])
    assert probabilities(share, 1) == pytest.approx(share)
    assert probabilities(share, 2) == pytest.approx([2 / 3, 1 / 3, 0]), "square roots, 2 to 1"
    assert probabilities(share, 1e6)[:2] == pytest.approx([0.5, 0.5], abs=1e-5)


def test_with_a_temperature_answers_are_drawn(agent: CausalLMPolicy, problem: Problem) -> None:
    drawn = CausalLMPolicy(agent.model, agent.tokenizer, agent.settings, temperature=1.0)
    said = drawn.propose([State(problem, seed=seed) for seed in range(12)])
    assert len({p.config for p in said}) > 3
    assert said == drawn.propose([State(problem, seed=seed) for seed in range(12)]), "by the state's own randomness"
    assert all(p.tokens and agent.chat.text(p.tokens.wrote) == p.config for p in said)
    cold = CausalLMPolicy(agent.model, agent.tokenizer, agent.settings, temperature=1e-6)
    assert cold.propose([State(problem, seed=5)])[0].config == agent.propose([State(problem)])[0].config
    rng = np.random.default_rng(0)
    counts = np.bincount([draw(np.array([0.8, 0.2, 0.0]), 0.5, rng) for _ in range(4000)], minlength=3)
    assert counts / 4000 == pytest.approx([0.64 / 0.68, 0.04 / 0.68, 0.0], abs=0.02)


def test_states_that_know_the_same_are_scored_once(
    agent: CausalLMPolicy, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr("autollmresearch.policies.score.logprobs", lambda *a: calls.append(a) or logprobs(*a))
    one, other, told = agent.propose(
        [State(problem, seed=0), State(problem, seed=1), State(problem, hint="Hint: the best is lr 1.0e-3.")]
    )
    assert len(calls) == 2
    assert one == other
    assert told.prompt != one.prompt


def test_an_episode_repeats_nothing_and_keeps_what_was_scored(
    agent: CausalLMPolicy, target: Experiment, problem: Problem
) -> None:
    rows = np.arange(4)
    few = Pool(problem.pool.space, {name: column[rows] for name, column in problem.pool.columns.items()})
    (played,) = run_episodes(agent, [target], [replace(problem, pool=few, budget=4)], [0])
    told = [target.pool.find(o.config or {})[0] for o in played.outcomes]
    assert sorted(told) == [0, 1, 2, 3]
    assert [o.kind for o in played.outcomes] == ["measured"] * 4
    for turn, left in zip(played.turns, (4, 3, 2, 1), strict=True):
        candidates = turn.proposal.candidates
        chances = [c.probability for c in candidates]
        assert len(candidates) == left
        assert chances == sorted(chances, reverse=True)
        assert sum(chances) == pytest.approx(1)
        assert candidates[0].config == turn.outcome.config
    for turn, left in zip(played.turns, (4, 3, 2, 1), strict=True):
        assert turn.proposal.tokens is not None
        assert len(turn.proposal.tokens.logprobs) == len(turn.proposal.tokens.wrote)
        chance = np.exp(sum(turn.proposal.tokens.logprobs))
        assert chance == pytest.approx(turn.proposal.candidates[0].probability), "under what it was chosen from"
        assert chance >= 1 / left - 1e-9


def test_the_likeliest_is_given_with_the_thought_that_belongs_to_it(agent: CausalLMPolicy, problem: Problem) -> None:
    state = State(problem)
    said = agent.propose([state])[0]
    possible = answers(state, STYLE, agent.chat.words)
    past, new, _ = agent._read(state)
    of_each = constrained(possible.ids, logprobs(agent.model, past + new, possible.ids))
    share = np.exp([sum(values) for values in of_each])
    best = problem.pool.config(int(possible.rows[share.argmax()]))
    assert said.config == action(best, thought(state, best, STYLE))
    assert said.reasoning == thought(state, best, STYLE)
    assert len(said.candidates) == 5
    assert said.candidates[0].probability == pytest.approx(share.max())


def test_with_the_evidence_on_it_says_what_the_analyst_expects_there(agent: CausalLMPolicy, problem: Problem) -> None:
    outcome = Outcome("measured", problem.pool.config(0), 3.4)
    told = State(problem, (outcome,))
    blind = agent.propose([told])[0]
    assert (blind.mean, blind.sd, blind.trends) == (None, None, "")
    agent.settings = replace(agent.settings, style=replace(STYLE, evidence=True))
    said = agent.propose([told])[0]
    posterior = believed(Known(problem, (outcome,)))
    row, _ = problem.pool.find(read_action(said.config))
    assert said.mean == pytest.approx(posterior.mean[row])
    assert said.sd == pytest.approx(np.hypot(posterior.sd[row], posterior.noise))
    assert said.trends.startswith(" ".join(posterior.explanation.sentences))
    assert said.trends not in said.reasoning, "it would hear as its own thought what it never thought"


def test_of_a_large_pool_what_the_analyst_expects_most_of(
    agent: CausalLMPolicy, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    mean = believed(Known(problem)).mean
    monkeypatch.setattr(score, "MOST", 5)
    style = Style(top=2, evidence=True)
    few = answers(State(problem), style, agent.chat.words)
    assert len(few.rows) == len(few.texts) == len(few.ids) == 5
    assert mean[few.rows].max() <= np.delete(mean, few.rows).min()
    monkeypatch.setattr(score, "TOKENS", sum(map(len, few.ids[:3])) + 1)
    assert answers(State(problem), style, agent.chat.words).rows.tolist() == few.rows[:3].tolist()
    monkeypatch.setattr(score, "TOKENS", 1)
    assert len(answers(State(problem), style, agent.chat.words).rows) == 1
    monkeypatch.setattr(score, "TOKENS", 1 << 13)
    any_five = answers(State(problem), STYLE, agent.chat.words).rows
    assert any_five.tolist() != few.rows.tolist(), "without evidence the analyst has no say"
    assert answers(State(problem, seed=7), STYLE, agent.chat.words).rows.tolist() == any_five.tolist()


def test_without_room_the_earliest_trials_are_forgotten(
    agent: CausalLMPolicy, target: Experiment, problem: Problem
) -> None:
    whole = run_episodes(agent, [target], [problem], [0])[0]
    assert all(turn.proposal.tokens for turn in whole.turns)
    agent.settings = replace(agent.settings, context=len(whole.ids()) - 30)
    cut = run_episodes(agent, [target], [problem], [0])[0]
    assert [turn.proposal.tokens is None for turn in cut.turns] == [*[False] * (len(cut.turns) - 1), True]
    assert {turn.outcome.kind for turn in cut.turns} == {"measured"}, "and it is legal all the same"


def test_what_is_read_with_little_room() -> None:
    past = [([1, 2], [3]), ([4], [5, 6]), ([7], [8])]
    assert recent(past, [9], 9) == ([1, 2, 3, 4, 5, 6, 7, 8, 9], True)
    assert recent(past, [9], 8) == ([1, 2, 5, 6, 7, 8, 9], False), "the first answer and what it gave"
    assert recent(past, [9], 4) == ([1, 2, 8, 9], False)
    assert recent(past, [9], 3) == ([], False)
    assert recent([], [1, 2], 2) == ([1, 2], True)
    assert recent([], [1, 2], 1) == ([], False)


def test_what_cannot_be_read_is_left_to_the_analyst_or_not_said(agent: CausalLMPolicy, problem: Problem) -> None:
    agent.settings = replace(agent.settings, context=50)
    assert agent.propose([State(problem)])[0].config == ""
    agent.settings = replace(agent.settings, style=replace(STYLE, evidence=True))
    said = agent.propose([State(problem)])[0]
    config = read_action(said.config, problem.space)
    assert isinstance(config, Mapping)
    assert problem.pool.find(config)[0] == proposals(believed(Known(problem)), problem.budget)[0]
    assert said.reasoning.startswith(TOO_LONG)
    assert (said.tokens, said.usage) == (None, Usage())


def test_how_to_decode_is_an_option_and_kept_with_the_checkpoint(agent: CausalLMPolicy, tmp_path: Path) -> None:
    agent.model.save_pretrained(tmp_path)
    agent.tokenizer.save_pretrained(tmp_path)

    def loaded(**options: Any) -> tuple[bool, float]:
        policy = CausalLMPolicy.load(str(tmp_path), **options)
        return policy.settings.score, policy.temperature

    assert loaded() == (False, 0.0), "greedy, where nothing is said"
    agent.settings.save(tmp_path)
    assert loaded() == (True, 0.0)
    assert loaded(decode="greedy") == (False, 0.0)
    assert loaded(decode="sample") == (False, 1.0)
    assert loaded(decode="score", temperature=0.7) == (True, 0.7)
    assert loaded(decode="sample", temperature=0.7) == (False, 0.7)
    assert loaded(temperature=0.7) == (False, 0.7)
    assert make_policy(f"agent:{tmp_path},decode=score").options == {"decode": "score"}  # type: ignore[attr-defined]
