"""Reinforcement: what was sampled is learned from, and an interrupted run ends where a whole one does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from autollmresearch.dialogue import Style
from autollmresearch.episode import Trajectory, Turn
from autollmresearch.errors import InvalidRecipe, StepProblem
from autollmresearch.evidence.records import Problem
from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy
from autollmresearch.policies.decoder import Written
from autollmresearch.policies.pretrained import load_pretrained
from autollmresearch.policy import Proposal, Tokens
from autollmresearch.training import reinforce as reinforcing
from autollmresearch.training import rollouts
from autollmresearch.training.curate import CurateSettings, Sample, curate
from autollmresearch.training.landscapes import HELD_OUT, LandscapeSettings, draw
from autollmresearch.training.recipe import Recipe
from autollmresearch.training.reinforce import ReinforceSettings, make_trainer, reinforce, slots, train
from autollmresearch.training.rollouts import Rollouts
from autollmresearch.training.row import Row, row
from autollmresearch.training.vllm import VllmDecoder
from autollmresearch.trajectories import read_trajectories
from llmconfig_gym.errors import InvalidDescription
from llmconfig_gym.experiment import Experiment, Outcome

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
    return [{k: v for k, v in line.items() if not k.endswith(timed)} for line in lines]


# TRL 1.16 asks transformers 5.24 under a name that it is going to drop.
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
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
    for name, weights in a.items():
        torch.testing.assert_close(b[name], weights, rtol=0, atol=0)
    assert written(tmp_path / "cut") == written(tmp_path / "whole")
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    shutil.rmtree(tmp_path / "cut" / "checkpoint")  # killed after the last step, before the agent was saved
    train(tiny_model(tokenizer), tokenizer, cut_off, agent, QUICK, tmp_path / "cut", progress=False)
    assert written(tmp_path / "cut") == written(tmp_path / "whole")
    for name, weights in load_file(tmp_path / "cut" / "checkpoint" / "model.safetensors").items():
        torch.testing.assert_close(a[name], weights, rtol=0, atol=0)
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


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_adapters_are_trained_and_nothing_else(
    tmp_path: Path,
    tokenizer: Any,
    tiny_model: Callable[..., Any],
    open_slot: Callable[[int], tuple[Experiment, Problem]],
    agent: Callable[[Any], CausalLMPolicy],
    monkeypatch: pytest.MonkeyPatch,
    precision: Any,
) -> None:
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file

    monkeypatch.setattr(rollouts, "reward", earned)
    tiny_model(tokenizer).save_pretrained(tmp_path / "base")
    base = type(tiny_model(tokenizer)).from_pretrained(tmp_path / "base")
    adapted = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(base, adapted).save_pretrained(tmp_path / "distilled")
    tokenizer.save_pretrained(tmp_path / "distilled")
    model, _ = load_pretrained(tmp_path / "distilled", trainable=True)
    settings = replace(QUICK, steps=1, kl=0.1, precision=precision)
    train(model, tokenizer, open_slot, agent, settings, tmp_path / "out", progress=False)

    checkpoint = tmp_path / "out" / "checkpoint"
    assert not (checkpoint / "model.safetensors").exists()
    assert not [p for p in checkpoint.iterdir() if p.is_dir()], "the reference adapter is no part of the agent"
    before, after = (load_file(p / "adapter_model.safetensors") for p in (tmp_path / "distilled", checkpoint))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[k], after[k]) for k in before)
    assert metrics(tmp_path / "out")[0]["kl"] == pytest.approx(0, abs=1e-2)
    again, _ = load_pretrained(checkpoint, trainable=True)
    assert again.peft_config.keys() == {"default"}

    def cut_off(slot: int) -> tuple[Experiment, Problem]:
        if slot == 2:
            raise KeyboardInterrupt
        return open_slot(slot)

    longer = replace(settings, steps=2)
    train(
        load_pretrained(tmp_path / "distilled", trainable=True)[0],
        tokenizer,
        open_slot,
        agent,
        longer,
        tmp_path / "whole",
        progress=False,
    )
    with pytest.raises(KeyboardInterrupt):
        train(
            load_pretrained(tmp_path / "distilled", trainable=True)[0],
            tokenizer,
            cut_off,
            agent,
            longer,
            tmp_path / "cut",
            progress=False,
        )
    train(
        load_pretrained(tmp_path / "distilled", trainable=True)[0],
        tokenizer,
        open_slot,
        agent,
        longer,
        tmp_path / "cut",
        progress=False,
    )
    assert metrics(tmp_path / "whole")[1]["kl"] > 0
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    whole, cut = (load_file(tmp_path / n / "checkpoint" / "adapter_model.safetensors") for n in ("whole", "cut"))
    assert all(torch.equal(whole[k], cut[k]) for k in whole)


def test_slots_are_samples_in_turn_and_unseen_tasks() -> None:
    settings = replace(QUICK, prior_share=0.5, budgets=(2, 4))
    samples = [Sample("micro/" + i, (), "full", 3, 0) for i in "abc"]
    opened: list[str] = []

    def fake(sample: Sample) -> tuple[Any, Any]:
        opened.append(sample.target)
        return draw(sample.seed, LandscapeSettings())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reinforcing, "open_sample", fake)
        first = slots(samples, settings, LandscapeSettings(), 7)
        found = [first(i) for i in range(24)]
        again = slots(samples, settings, LandscapeSettings(), 7)(5)
    drawn = [e.id for e, _ in found if e.id != "drawn/0"]
    assert 6 <= len(drawn) <= 18
    assert len(set(drawn)) == len(drawn)
    assert all(int(id_.split("/")[1]) >= HELD_OUT + (1 << 31) for id_ in drawn), "neither held out nor seen before"
    assert set(opened) == {"micro/a", "micro/b", "micro/c"}
    assert {p.budget for _, p in found} == {2, 4}
    assert (again[0].id, again[1].budget) == (found[5][0].id, found[5][1].budget)
    alone = slots([], replace(settings, budgets=()), LandscapeSettings(), 7)
    assert all(alone(i)[0].id.startswith("drawn/") for i in range(4))


def test_the_step_goes_from_a_distilled_agent_to_a_reinforced_one(
    tmp_path: Path, tokenizer: Any, tiny_model: Callable[..., Any]
) -> None:
    checkpoint = tmp_path / "distill" / "checkpoint"
    tiny_model(tokenizer).save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    AgentSettings(Style(top=1, experiments=1), 8, 4000).save(checkpoint)
    settings = replace(QUICK, steps=2, samples=2, group=2, prior_share=0.5, budgets=(1,), episode_tokens=4000)
    recipe = Recipe(
        seed=3,
        agent=AgentSettings(Style(top=1, experiments=1), 8, 4000),
        curate=CurateSettings(budgets=(1,)),
        reinforce=settings,
    )
    curate(recipe, tmp_path, progress=False)
    reinforce(recipe, tmp_path, progress=False)
    out = tmp_path / "reinforce"
    assert {p.name for p in out.iterdir()} >= {"checkpoint", "manifest.json", "metrics.jsonl", "trajectories.jsonl"}
    assert not (out / "working").exists()
    assert len(list(read_trajectories(out / "trajectories.jsonl"))) == 8
    agent = CausalLMPolicy.load(str(out / "checkpoint"))
    assert agent.settings == AgentSettings(Style(top=1, experiments=1), 8, 4000)
    assert metrics(out)[0]["valid"] == 0.0, "an untrained model proposes nothing"
    reinforce(recipe, tmp_path, progress=False)
    with pytest.raises(StepProblem, match="kl"):
        reinforce(replace(recipe, reinforce=replace(settings, kl=0.5)), tmp_path, progress=False)


def test_vllm_writes_as_the_decoder_does() -> None:
    class Engine:
        max_completion_length = 0

        def generate(self, prompts: Any, images: Any, num_generations: int) -> Any:
            assert (images, num_generations) == (None, 1)
            ids = [[len(p), 7, 9][: self.max_completion_length] for p in prompts]
            return prompts, ids, [[[-0.5], [None], [-0.25]][: len(i)] for i in ids], None

    decoder = VllmDecoder(Engine())
    first, second = decoder.write([[1, 2], [1]], None, temperature=1.0, limits=[1, 3])
    assert first == Written((2,), (-0.5,))
    assert second.ids == (1, 7, 9)
    assert second.logprobs == pytest.approx((-0.5, float("nan"), -0.25), nan_ok=True)
    assert decoder.write([], None, temperature=1.0, limits=[]) == []


def test_what_is_rewarded_is_done_more_often(
    tmp_path: Path,
    tokenizer: Any,
    tiny_model: Callable[..., Any],
    open_slot: Callable[[int], tuple[Experiment, Problem]],
    agent: Callable[[Any], CausalLMPolicy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollouts, "reward", earned)
    settings = replace(QUICK, steps=15, group=8, micro_batch=16, save_every=100, learning_rate=2e-2)
    train(tiny_model(tokenizer), tokenizer, open_slot, agent, settings, tmp_path, progress=False)
    rewards = [line["reward"] for line in metrics(tmp_path)]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.2, rewards
