"""A language model plays episodes: its tokens are kept as they were sampled, and whatever it writes has an outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from autollmresearch.dialogue import Style, conversation
from autollmresearch.episode import Trajectory, run_episodes
from autollmresearch.errors import CheckpointProblem
from autollmresearch.evidence.records import Problem
from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy, recent
from autollmresearch.policy import Proposal, State
from llmconfig_gym.experiment import Experiment

SETTINGS = AgentSettings(Style(top=2), max_new_tokens=24, context=4000)


@pytest.fixture
def make(tiny_model: Any, tiny_tokenizer: Any) -> Callable[..., CausalLMPolicy]:
    """An agent of the tiny model: `make(temperature=, max_new_tokens=, ...)`."""

    def agent(temperature: float = 1.0, **settings: Any) -> CausalLMPolicy:
        return CausalLMPolicy(tiny_model, tiny_tokenizer, replace(SETTINGS, **settings), temperature)

    return agent


@pytest.fixture
def target(targets: Mapping[str, Experiment]) -> Experiment:
    return targets["pretraining"]


@pytest.fixture
def problem(target: Experiment, problem_of: Callable[..., Problem]) -> Problem:
    return problem_of(target, budget=4)


def recomputed(model: Any, trajectory: Trajectory, temperature: float) -> list[float]:
    """Log-probabilities of a trajectory's own tokens from one pass over the whole of it."""
    ids = torch.tensor([trajectory.ids()])
    with torch.no_grad():
        logprobs = torch.log_softmax(model(input_ids=ids).logits[0, :-1] / temperature, -1)
    return [float(logprobs[i - 1, ids[0, i]]) for i, own in enumerate(trajectory.own()) if own]


@pytest.mark.parametrize("temperature", [0.8, 1.0])
def test_sampled_log_probabilities_are_those_recomputed(
    make: Callable[..., CausalLMPolicy], target: Experiment, problem: Problem, temperature: float
) -> None:
    agent = make(temperature)
    played = run_episodes(agent, [target] * 12, [problem] * 12, range(12))
    lengths = {len(t.proposal.tokens.wrote) for p in played for t in p.turns if t.proposal.tokens}
    assert len(lengths) > 3, "some turns end early, some are cut off"
    for p in played:
        own = [x for x, o in zip(p.logprobs(), p.own(), strict=True) if o]
        assert own == pytest.approx(recomputed(agent.model, p, temperature), abs=1e-4)
        assert all(x == 0 for x, o in zip(p.logprobs(), p.own(), strict=True) if not o)


def test_the_mask_covers_own_tokens_exactly(
    make: Callable[..., CausalLMPolicy], target: Experiment, problem: Problem
) -> None:
    """Rebuilt by hand from the texts: own tokens are what was written, all else is what was read."""
    agent = make()
    end = "<|end|>"
    truncated = 0
    for p in run_episodes(agent, [target] * 8, [problem] * 8, range(8)):
        expected: list[int] = []
        mask: list[bool] = []
        talk = conversation(State(problem, p.outcomes, 0, tuple(t.proposal for t in p.turns)), SETTINGS.style)
        before = ""
        for turn, message in zip(p.turns, talk[::2], strict=False):
            assert turn.proposal.prompt == message["content"]
            tokens = turn.proposal.tokens
            assert tokens is not None
            read = f"{before}<|user|>{message['content']}{end}<|agent|>"
            expected += agent.tokenizer(read, add_special_tokens=False)["input_ids"]
            mask += [False] * (len(expected) - len(mask))
            expected += tokens.wrote
            mask += [True] * len(tokens.wrote)
            finished = tokens.wrote[-1] == agent.chat.end_id
            truncated += not finished
            before = "" if finished else end
            assert len(tokens.wrote) <= 24
            assert agent.chat.end_id not in tokens.wrote[:-1]
        assert p.ids() == expected
        assert p.own() == mask
    assert truncated > 0


def test_episodes_together_are_episodes_alone(
    make: Callable[..., CausalLMPolicy], target: Experiment, problem: Problem, problem_of: Callable[..., Problem]
) -> None:
    problems = [problem, problem, problem_of(target, "metered:5", budget=2), problem]
    together = run_episodes(make(), [target] * 4, problems, [5, 6, 7, 8])
    for i, p in enumerate(together):
        alone = run_episodes(make(), [target], [problems[i]], [5 + i])[0]
        assert alone.ids() == p.ids()
    assert len({tuple(p.ids()) for p in together}) == 4


def test_sixty_four_episodes_advance_together_and_read_their_prompt_once(
    make: Callable[..., CausalLMPolicy], target: Experiment, problem: Problem
) -> None:
    agent = make(max_new_tokens=4)
    sizes: list[tuple[int, int]] = []
    hook = agent.model.register_forward_pre_hook(
        lambda _, a, k: sizes.append(tuple(k["input_ids"].shape)), with_kwargs=True
    )
    try:
        played = run_episodes(agent, [target] * 64, [problem] * 64, range(64))
    finally:
        hook.remove()
    prompt = len(played[0].turns[0].proposal.tokens.read)  # type: ignore[union-attr]
    assert sizes[0] == (1, prompt)
    assert sum(rows * columns for rows, columns in sizes) < 3 * 64 * max(len(p.ids()) - prompt for p in played)


def test_greedy_is_the_same_for_every_seed(
    make: Callable[..., CausalLMPolicy], target: Experiment, problem: Problem
) -> None:
    first, second = run_episodes(make(0.0), [target] * 2, [problem] * 2, [1, 2])
    assert first.ids() == second.ids()


def test_a_turn_without_room_is_missing_and_costs_its_trial(
    make: Callable[..., CausalLMPolicy], target: Experiment, problem: Problem
) -> None:
    full = run_episodes(make(), [target], [problem], [3])[0]
    context = len(full.ids()) - 30
    cut = run_episodes(make(context=context), [target], [problem], [3])[0]
    assert len(cut.turns) == problem.budget
    assert len(cut.ids()) <= context
    assert cut.ids() == full.ids()[: len(cut.ids())]
    last = cut.turns[-1]
    assert last.proposal.config == ""
    assert last.outcome.kind == "invalid"
    assert last.reward == 0
    nothing = run_episodes(make(context=10), [target], [problem], [3])[0]
    assert nothing.ids() == []
    assert nothing.reward == 0


def test_trials_from_elsewhere_are_read_as_answers(
    make: Callable[..., CausalLMPolicy], target: Experiment, problem: Problem
) -> None:
    """A live study's first trials may be a person's."""
    agent = make()
    state = State(problem, (target.outcome(0), target.tell({})), 3, (Proposal({"lr": 1.0}),))
    tokens = agent.propose([state])[0].tokens
    assert tokens is not None
    past, new, _ = agent._read(state)
    text = agent.tokenizer.decode(recent(past, new, 10_000)[0])
    assert text.count("<|agent|>") == 3
    assert '<config>{"lr": 1}</config><|end|><|user|>' in text
    assert tuple(new) == tokens.read
    assert len(tokens.logprobs) == len(tokens.wrote)


def test_a_checkpoint_comes_back(
    make: Callable[..., CausalLMPolicy], target: Experiment, problem: Problem, tmp_path: Path
) -> None:
    agent = make(0.0)
    agent.model.save_pretrained(tmp_path)
    agent.tokenizer.save_pretrained(tmp_path)
    agent.settings.save(tmp_path)
    again = CausalLMPolicy.load(str(tmp_path), device="cpu")
    assert again.settings == SETTINGS
    assert (
        run_episodes(again, [target], [problem], [0])[0].ids() == run_episodes(agent, [target], [problem], [0])[0].ids()
    )
    changed = CausalLMPolicy.load(str(tmp_path), temperature=0.7, evidence=True, max_new_tokens=9)
    assert changed.temperature == 0.7
    assert changed.settings == replace(SETTINGS, style=Style(top=2, evidence=True), max_new_tokens=9)
    (tmp_path / "agent.json").unlink()
    assert CausalLMPolicy.load(str(tmp_path)).settings == AgentSettings()


def test_adapters_are_loaded_on_their_base_model(
    make: Callable[..., CausalLMPolicy], target: Experiment, problem: Problem, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    agent = make(0.0)
    agent.model.save_pretrained(base)
    agent.tokenizer.save_pretrained(base)
    torch.manual_seed(0)
    copy = CausalLMPolicy.load(str(base)).model  # an adapter changes the object it is put on
    tuned = get_peft_model(copy, LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
    tuned.save_pretrained(adapter)
    agent.tokenizer.save_pretrained(adapter)
    loaded = CausalLMPolicy.load(str(adapter))
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.allclose(loaded.model(input_ids=ids).logits, tuned(input_ids=ids).logits, atol=1e-5)
        assert not torch.allclose(loaded.model(input_ids=ids).logits, agent.model(input_ids=ids).logits, atol=1e-3)


def test_what_is_no_checkpoint_is_said(tmp_path: Path, tiny_tokenizer: Any, tiny_model: Any) -> None:
    with pytest.raises(CheckpointProblem, match=r"holds no config\.json"):
        CausalLMPolicy.load(str(tmp_path))
    tiny_model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps({"style": {"tops": 3}}))
    with pytest.raises(CheckpointProblem, match=r"agent\.json"):
        CausalLMPolicy.load(str(tmp_path))
    (tmp_path / "agent.json").unlink()
    weights = tmp_path / "model.safetensors"
    torch.save(tiny_model.state_dict(), tmp_path / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(CheckpointProblem, match="safetensors"):
        CausalLMPolicy.load(str(tmp_path))
