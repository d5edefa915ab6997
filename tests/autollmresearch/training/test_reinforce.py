"""Reinforcement: what was sampled is learned from, and an interrupted run ends where a whole one does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from autollmresearch.dialogue import Style
from autollmresearch.episode import Trajectory, Turn
from autollmresearch.errors import InvalidRecipe
from autollmresearch.evidence.records import Problem
from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy
from autollmresearch.policy import Proposal, Tokens
from autollmresearch.training import rollouts
from autollmresearch.training.reinforce import ReinforceSettings, make_trainer, train
from autollmresearch.training.rollouts import Rollouts
from autollmresearch.training.row import Row, row
from autollmresearch.trajectories import read_trajectories
from llmconfig_gym.errors import InvalidDescription
from llmconfig_gym.experiment import Experiment, Outcome

# TRL 1.16 asks transformers 5.24 under a name that it is going to drop.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

QUICK = ReinforceSettings(
    steps=4, samples=2, group=3, micro_batch=2, temperature=0.9, save_every=1, learning_rate=1e-2, episode_tokens=900
)


def earned(trajectory: Sequence[Trajectory], log_metric: Callable[[str, float], None], **_: Any) -> list[float]:
    """A reward that an untrained model already earns some of: the share of even ids in what it wrote."""
    own = [[i for i, o in zip(t.ids(), t.own(), strict=True) if o] for t in trajectory]
    return [sum(i % 2 == 0 for i in ids) / max(len(ids), 1) for ids in own]


@pytest.fixture
def open_slot(
    line: Callable[..., Experiment], lonely: Callable[[Experiment, int], Problem]
) -> Callable[[int], tuple[Experiment, Problem]]:
    """Slots of two targets in turn, with one and two trials."""
    targets = [line([3.0, 1.0, 2.0]), line([1.0, 5.0])]
    return lambda slot: (targets[slot % 2], lonely(targets[slot % 2], 1 + slot % 2))


@pytest.fixture
def tokenizer(tiny_tokenizer: Callable[..., Any]) -> Any:
    return tiny_tokenizer()


@pytest.fixture
def agent(tokenizer: Any) -> Callable[[Any], CausalLMPolicy]:
    return lambda model: CausalLMPolicy(model, tokenizer, AgentSettings(Style(), 12, 900), 0.9)


def written(out: Path) -> list[tuple[str, list[int], float]]:
    return [(t.experiment, t.ids(), t.reward) for t in read_trajectories(out / "trajectories.jsonl")]


def metrics(out: Path) -> list[dict[str, Any]]:
    timed = ("seconds", "step_time", "runtime", "per_second")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert "train_loss" in lines.pop(), "the last line sums up this process's run"
    return [{k: v for k, v in line.items() if not k.endswith(timed)} for line in lines]


def test_sampled_log_probabilities_are_those_the_trainer_computes(
    tmp_path: Path,
    tokenizer: Any,
    tiny_model: Callable[..., Any],
    open_slot: Callable[[int], tuple[Experiment, Problem]],
    agent: Callable[[Any], CausalLMPolicy],
) -> None:
    settings = replace(QUICK, kl=0.1, epochs=2)  # so that no row is left out, and the trainer recomputes them
    tiny_model(tokenizer).save_pretrained(tmp_path / "model")
    model = type(tiny_model(tokenizer)).from_pretrained(tmp_path / "model")
    played = Rollouts(open_slot, agent, group=3, longest=900, seed=0, per_step=2)
    trainer = make_trainer(model, tokenizer, played, earned, settings, tmp_path / "working")
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    batch = next(iter(trainer.get_train_dataloader()))
    trainer._prepare_inputs(batch)
    count = 0
    for part in trainer._buffered_inputs:
        mask = (part["completion_mask"] * part["tool_mask"]).bool()
        count += int(mask.sum())
        found, expected = part["sampling_per_token_logps"][mask], part["old_per_token_logps"][mask]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert count > 60
    assert trainer.model.training, "playing left the model in training mode"


def test_an_interrupted_run_ends_where_a_whole_one_does(
    tmp_path: Path,
    tokenizer: Any,
    tiny_model: Callable[..., Any],
    open_slot: Callable[[int], tuple[Experiment, Problem]],
    agent: Callable[[Any], CausalLMPolicy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollouts, "reward", earned)
    train(tiny_model(tokenizer), tokenizer, open_slot, agent, QUICK, tmp_path / "whole", progress=False)

    played = []

    def cut_off(slot: int) -> tuple[Experiment, Problem]:
        played.append(slot)
        if slot == 5:
            raise KeyboardInterrupt
        return open_slot(slot)

    with pytest.raises(KeyboardInterrupt):
        train(tiny_model(tokenizer), tokenizer, cut_off, agent, QUICK, tmp_path / "cut", progress=False)
    assert len(written(tmp_path / "cut")) == 12, "two steps of six"
    (tmp_path / "cut" / "working" / "checkpoint-2" / "trainer_state.json").unlink()  # killed while it was written
    train(tiny_model(tokenizer), tokenizer, open_slot, agent, QUICK, tmp_path / "cut", progress=False)

    from safetensors.torch import load_file

    a, b = (load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("whole", "cut"))
    for name, weights in load_file(tmp_path / "whole" / "checkpoint" / "model.safetensors").items():
        torch.testing.assert_close(b[name], weights, rtol=0, atol=0)
        torch.testing.assert_close(a[name], weights, rtol=0, atol=0)
    assert written(tmp_path / "cut") == written(tmp_path / "whole")
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    start = tiny_model(tokenizer).state_dict()
    assert any(not torch.equal(start[name], b[name]) for name in b), "something was learned"


def test_a_row_is_a_trajectory_from_the_first_own_token_on() -> None:
    def turn(tokens: Tokens | None) -> Turn:
        return Turn(Proposal("", tokens=tokens), Outcome("invalid"), 0.0)

    two = Trajectory(
        "lines/a", 3, 0, (turn(Tokens((1, 2, 3), (4, 5), (-0.5, -0.7))), turn(Tokens((6,), (7,), (-0.1,))), turn(None))
    )
    assert row(two, 99) == Row([1, 2, 3], [4, 5, 6, 7], [True, True, False, True], [-0.5, -0.7, 0.0, -0.1])
    assert row(two, 5) == Row([1, 2, 3], [4, 5], [True, True], [-0.5, -0.7])
    assert row(two, 2) == Row([1], [2], [False], [0.0]), "cut off before the agent wrote"
    silent = Trajectory("lines/a", 1, 0, (turn(Tokens((1, 2), (), ())),))
    assert row(silent, 99) == Row([1], [2], [False], [0.0])
    with pytest.raises(ValueError, match="only language models"):
        row(Trajectory("lines/a", 1, 0, (turn(None),)), 99)


@pytest.mark.parametrize(
    "wrong", [{"group": 1}, {"temperature": 0.0}, {"prior_share": 1.5}, {"budgets": (0,)}, {"steps": 0}, {"kl": -1.0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidDescription):
        ReinforceSettings(**wrong)


def test_a_step_that_processes_cannot_share_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InvalidRecipe, match="2 samples of 3 trajectories cannot be shared by 4 processes"):
        make_trainer(None, None, None, None, QUICK, tmp_path)
