"""TRL's trainer, ours over it, and a plain loop make the same loss and the same gradient of the same batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback
from trl import GRPOTrainer

from autollmresearch.training import oracle
from autollmresearch.training.grpo import NO_ADVANTAGE, GroupTrainer, deal, learned
from autollmresearch.training.oracle import Objective
from autollmresearch.training.reinforce import ReinforceSettings, make_trainer
from autollmresearch.training.row import Row

# TRL 1.16 asks transformers 5.24 under a name that it is going to drop.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

SETTINGS = ReinforceSettings(
    steps=1,
    samples=3,
    group=4,
    micro_batch=3,
    temperature=0.8,
    episode_tokens=80,
    max_grad_norm=1e9,
    learning_rate=1e-3,
)


def made_up_rows(rng: np.random.Generator, count: int, vocabulary: int) -> list[Row]:
    """Random ids in turns, pad and end tokens too; one row ends within a turn, one holds nothing of the agent's."""
    rows = []
    for i in range(count):
        own = [bool(o) for _ in range(rng.integers(1, 5)) for o in [1] * rng.integers(2, 9) + [0] * rng.integers(0, 7)]
        own = [False] * 3 if i == 5 else own[: own.index(False)] if i == 6 and False in own else own
        prompt = rng.integers(0, vocabulary, size=rng.integers(3, 20)).tolist()
        rows.append(Row(prompt, rng.integers(0, vocabulary, size=len(own)).tolist(), own, [-1.0 * o for o in own]))
    return rows


class Played:
    """A rollout function that returns the same rows again and again, and its rewards."""

    def __init__(self, rows: Sequence[Row], rewards: Sequence[float]) -> None:
        self.rows, self.rewards = rows, rewards

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        group = trainer.args.num_generations
        at = [int(p) * group + i % group for i, p in enumerate(prompts)]
        at = [i % len(self.rows) for i in at]
        return {
            "prompt_ids": [self.rows[i].prompt for i in at],
            "completion_ids": [self.rows[i].completion for i in at],
            "logprobs": [self.rows[i].logprobs for i in at],
            "env_mask": [[int(o) for o in self.rows[i].own] for i in at],
            "earned": [self.rewards[i] for i in at],
        }


def given(earned: list[float], **_: Any) -> list[float]:
    return earned


class Gradients(TrainerCallback):
    def __init__(self) -> None:
        self.of: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        grads = {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}
        self.of.append(grads)


@pytest.fixture
def saved(tmp_path: Path, tiny_tokenizer: Callable[..., Any], tiny_model: Callable[..., Any]) -> tuple[Path, Any]:
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer)
    with torch.no_grad():  # far from uniform, so that a mistake in the weighting shows
        for p in model.parameters():
            p.mul_(2.0)
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model", tokenizer


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL's own trainer says nothing to anybody, and writes no card."""
    monkeypatch.setattr(GRPOTrainer, "_send_telemetry", lambda self: None)
    monkeypatch.setattr(GRPOTrainer, "create_model_card", lambda self, *_, **__: None)


def load(path: Path, seed: int | None = None) -> Any:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    if seed is not None:  # away from the reference, or there is no divergence to see
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05 * torch.randn(p.shape, generator=generator))
    return model


def run(
    kind: type[Any], path: Path, tokenizer: Any, settings: ReinforceSettings, played: Played, out: Path
) -> tuple[list[float], list[dict[str, torch.Tensor]], Any]:
    """Loss and gradient of each update, and the trained model."""
    trainer = make_trainer(load(path, seed=1), tokenizer, played, given, settings, out, kind=kind)
    gradients = Gradients()
    trainer.add_callback(gradients)
    losses: list[float] = []
    step = trainer.training_step

    def recorded(*args: Any, **kwargs: Any) -> torch.Tensor:
        loss: torch.Tensor = step(*args, **kwargs)
        losses.append(float(loss))
        return loss

    trainer.training_step = recorded
    trainer.train()
    parts = trainer.args.gradient_accumulation_steps
    return [math.fsum(losses[i : i + parts]) for i in range(0, len(losses), parts)], gradients.of, trainer.model


def assert_like(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Within 1e-3 of each other, relative to the norm of the whole gradient and of each part."""
    norm = math.sqrt(sum(float(g.square().sum()) for g in expected.values()))
    assert norm > 1e-4
    for name, g in expected.items():
        assert float((found[name] - g).norm()) <= 1e-3 * max(float(g.norm()), 1e-2 * norm), name


@pytest.mark.parametrize(
    ("loss", "kl", "scale"),
    [(loss, kl, "group") for loss in ("grpo", "dapo", "dr_grpo") for kl in (0.0, 0.3)]
    + [("grpo", 0.0, "batch"), ("grpo", 0.0, "none")],
)
def test_trl_ours_and_the_oracle_agree(
    loss: Any, kl: float, scale: Any, saved: tuple[Path, Any], tmp_path: Path
) -> None:
    path, tokenizer = saved
    rows = made_up_rows(np.random.default_rng(0), 12, len(tokenizer))
    rewards = [0.9, 0.2, 0.5, 0.5, *[0.7312] * 4, 0.1, 0.0, 0.0, 1.0]  # the second group earned the same
    if scale != "group":
        rewards[4:8] = [0.7312, 0.7316, 0.732, 0.7308]  # hardly apart, but apart
    settings = replace(SETTINGS, loss=loss, kl=kl, scale=scale, epochs=2)
    objective = Objective(4, loss, scale, temperature=0.8, kl=kl, longest=80)
    played = Played(rows, rewards)
    stock = run(GRPOTrainer, path, tokenizer, settings, played, tmp_path / "a")
    ours = run(GroupTrainer, path, tokenizer, settings, played, tmp_path / "b")

    model, reference = load(path, seed=1), load(path)
    value = oracle.loss(model, rows, rewards, objective, reference=reference)
    torch.autograd.backward(value)
    plain = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    losses = oracle.update(model, optimizer, rows, rewards, objective, reference=reference, epochs=2, max_grad_norm=1e9)

    for found in (stock, ours):
        assert_like(found[1][0], plain)
        assert found[0] == pytest.approx(losses, rel=1e-3, abs=2e-5)
        for (name, p), q in zip(found[2].named_parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-3, atol=2e-5, msg=name)
    assert_like(ours[1][1], stock[1][1])


def test_few_or_no_rows_with_an_advantage(saved: tuple[Path, Any], tmp_path: Path) -> None:
    """One group of three differs, so that a part of the update is empty; then none does, and nothing moves."""
    path, tokenizer = saved
    rows = made_up_rows(np.random.default_rng(1), 12, len(tokenizer))
    for rewards in ([0.4] * 4 + [0.1, 0.1, 0.1, 0.9] + [1 / 3] * 4, [0.7312] * 12):
        settings = replace(SETTINGS, micro_batch=1)  # twelve parts
        played = Played(rows, rewards)
        stock = run(GRPOTrainer, path, tokenizer, settings, played, tmp_path / "a")
        ours = run(GroupTrainer, path, tokenizer, settings, played, tmp_path / "b")
        assert ours[0] == pytest.approx(stock[0], abs=1e-6)
        if len(set(rewards)) > 1:
            assert_like(ours[1][0], stock[1][0])
        else:
            assert all(not g.any() for g in ours[1][0].values())


def test_rows_are_dealt_by_length_without_padding() -> None:
    lengths = [(4, 9), (2, 3), (4, 2), (1, 1), (3, 8), (2, 5)]
    left, right = max(p for p, _ in lengths), max(c for _, c in lengths)
    batch = {
        "prompt_ids": torch.tensor([[0] * (left - p) + [10 * i + 1] * p for i, (p, _) in enumerate(lengths)]),
        "prompt_mask": torch.tensor([[0] * (left - p) + [1] * p for p, _ in lengths]),
        "completion_ids": torch.tensor([[10 * i + 2] * c + [0] * (right - c) for i, (_, c) in enumerate(lengths)]),
        "completion_mask": torch.tensor([[1] * c + [0] * (right - c) for _, c in lengths]),
        "tool_mask": torch.ones(6, right, dtype=torch.long),
        "advantages": torch.tensor([1.0, -1.0, 6e-4, 0.0, 0.5, -0.5]),
        "num_items_in_batch": torch.tensor(28),
    }
    kept = learned(batch, 1e-3)
    assert kept.tolist() == [1, 5, 4, 0], "shortest first; no row whose advantage is zero but for rounding"
    assert learned(batch, None).tolist() == [3, 1, 2, 5, 4, 0]
    assert len(learned(batch, NO_ADVANTAGE["none"])) == 5, "differences that nothing was divided by may be small"
    short, long = deal(batch, kept, 4, 2)
    assert short["completion_ids"].tolist() == [[12, 12, 12, 0, 0], [52] * 5]
    assert short["prompt_ids"].tolist() == [[11, 11], [51, 51]]
    assert long["prompt_ids"].shape == (2, 4)
    assert long["completion_ids"].shape == (2, 9)
    assert short["weight"] == long["weight"] == 2 * 2 / 6
    filled, _, last = deal(batch, kept, 6, 3)
    assert filled["advantages"].tolist() == [0, 0]
    assert filled["completion_ids"].shape == filled["prompt_ids"].shape == (2, 1)
    assert not (filled["completion_mask"] * filled["tool_mask"]).any(), "what fills up is not learned from"
    assert last["advantages"].tolist() == [0.5, 1.0]
    assert int(last["num_items_in_batch"]) == 28
