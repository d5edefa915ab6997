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
from autollmresearch.evidence.analyst import fit
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policies import score
from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy
from autollmresearch.policies.score import answers, logprobs, shares
from autollmresearch.policy import State
from autollmresearch.thoughts import thought
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
    said = [agent.chat.words(text) for text in answers(State(problem), STYLE).texts[:7]]
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


def test_shares() -> None:
    assert shares([[np.log(0.1), np.log(0.5)], [np.log(0.15)]]) == pytest.approx([0.25, 0.75])
    assert shares([[-2000.0], [-2000.0]]) == pytest.approx([0.5, 0.5]), "very unlikely answers have shares, too"


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
    ids = torch.tensor([played.ids()])
    with torch.no_grad():
        known = torch.log_softmax(agent.model(input_ids=ids).logits[0], -1)
    own = [(i, x) for i, (x, o) in enumerate(zip(played.logprobs(), played.own(), strict=True)) if o]
    assert [x for _, x in own] == pytest.approx([float(known[i - 1, ids[0, i]]) for i, _ in own], abs=1e-4)


def test_the_likeliest_is_given_with_the_thought_that_belongs_to_it(agent: CausalLMPolicy, problem: Problem) -> None:
    state = State(problem)
    said = agent.propose([state])[0]
    possible = answers(state, STYLE)
    past, new, _ = agent._read(state)
    share = shares(logprobs(agent.model, past + new, [agent.chat.words(t) for t in possible.texts]))
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
    posterior = fit(problem, (outcome,))
    row, _ = problem.pool.find(said.candidates[0].config)
    assert said.mean == pytest.approx(posterior.mean[row])
    assert said.sd == pytest.approx(np.hypot(posterior.sd[row], posterior.noise))
    assert said.trends.startswith(" ".join(posterior.explanation.sentences))
    assert said.trends not in said.reasoning, "it would hear as its own thought what it never thought"


def test_states_that_are_the_same_are_scored_once(
    agent: CausalLMPolicy, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    scored = agent._likeliest
    monkeypatch.setattr(agent, "_likeliest", lambda state: asked.append(state) or scored(state))
    other = State(problem, (Outcome("measured", problem.pool.config(0), 3.4),))
    first, second, third = agent.propose([State(problem, seed=0), State(problem, seed=1), other])
    assert first is second
    assert len(asked) == 2
    assert third.prompt != first.prompt


def test_of_a_large_pool_what_the_analyst_expects_most_of(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "MOST", 5)
    mean = fit(problem).mean
    rows = answers(State(problem), STYLE).rows
    assert len(rows) == 5
    assert mean[rows].max() <= np.delete(mean, rows).min()


def test_without_room_nothing_is_said(agent: CausalLMPolicy, problem: Problem) -> None:
    agent.settings = replace(agent.settings, context=50)
    assert agent.propose([State(problem)])[0].config == ""


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
    assert loaded(decode="sample", temperature=0.7) == (False, 0.7)
    assert loaded(temperature=0.7) == (False, 0.7)
    assert make_policy(f"agent:{tmp_path},decode=score").options == {"decode": "score"}  # type: ignore[attr-defined]
