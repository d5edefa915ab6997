"""Training: the same call gives the same bits, replicas are independent, divergence is recorded, AdamW is AdamW."""

from __future__ import annotations

import math

import pytest
import torch

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.collect.lab.train import (
    VALIDATION_TOKENS,
    AdamW,
    Recipe,
    Run,
    train,
    training_sequences,
    unigram_loss,
    validation_sequences,
)
from llmconfig_gym.errors import CollectError

SHAPE = DecoderShape(layers=1, width=16, heads=2, mlp_ratio=4, context=16, vocab=corpus.VOCABULARY)
TOKENS = 16 * 8 * 60


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("llmconfig_gym.collect.lab.train.VALIDATION_TOKENS", 4096)


def _results(runs: list[Run]) -> list[tuple[float | str, ...]]:
    """Everything about runs but the clock."""
    return [
        (
            run.validation_loss,
            run.status,
            run.train_loss,
            run.train_loss_quarter,
            run.train_loss_half,
            run.train_loss_three_quarters,
            run.gradient_norm_mean,
            run.gradient_norm_max,
        )
        for run in runs
    ]


def test_same_call_same_bits_and_another_seed_other_numbers() -> None:
    first = _results(train(SHAPE, TOKENS, 8, (0.01, 0.01, 0.001), (0, 1, 0)))
    again = _results(train(SHAPE, TOKENS, 8, (0.01, 0.01, 0.001), (0, 1, 0)))
    assert first == again
    assert first[0] != first[1]
    assert first[0] != first[2]


def test_training_learns() -> None:
    (run,) = train(SHAPE, TOKENS, 8, (0.01,), (0,))
    assert run.status == "ok"
    assert run.steps == 60
    assert run.validation_loss < 3.4 < math.log(corpus.VOCABULARY)
    assert run.train_loss < run.train_loss_half < run.train_loss_quarter
    assert 0 < run.gradient_norm_mean <= run.gradient_norm_max


def test_a_diverging_replica_is_recorded_and_touches_no_other() -> None:
    calm = train(SHAPE, TOKENS, 8, (0.01, 0.002, 0.004), (0, 0, 1))
    wild = train(SHAPE, TOKENS, 8, (0.01, 1e30, 0.004), (0, 0, 1))
    assert wild[1].status == "diverged"
    assert not math.isfinite(wild[1].validation_loss)
    assert [_results(wild)[i] for i in (0, 2)] == [_results(calm)[i] for i in (0, 2)]


def test_finite_but_lost_is_diverged_and_merely_slow_is_not() -> None:
    lost, wrecked, slow = train(SHAPE, TOKENS, 8, (10.0, 1.0, 2e-4), (0, 0, 0))
    assert math.isfinite(lost.validation_loss)
    assert lost.status == "diverged"
    assert wrecked.validation_loss < math.log(corpus.VOCABULARY) < wrecked.train_loss_quarter  # blew up, then fell
    assert wrecked.status == "diverged"
    assert slow.validation_loss > 3.8
    assert slow.status == "ok"


def test_stacked_training_follows_single_training() -> None:
    stacked = train(SHAPE, TOKENS, 8, (0.01, 0.003), (0, 1))
    for run, lr, seed in zip(stacked, (0.01, 0.003), (0, 1), strict=True):
        (alone,) = train(SHAPE, TOKENS, 8, (lr,), (seed,))
        assert run.validation_loss == pytest.approx(alone.validation_loss, abs=1e-3)


def test_optimizer_is_torch_adamw_with_clipping_per_row() -> None:
    recipe = Recipe()
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 50, generator=generator)
    lrs = (0.1, 0.01, 0.001)
    rows = [torch.nn.Parameter(row.clone()) for row in weights]
    theirs = [
        torch.optim.AdamW([row], lr=lr, betas=(0.9, 0.95), eps=recipe.epsilon, weight_decay=recipe.weight_decay)
        for row, lr in zip(rows, lrs, strict=True)
    ]
    ours = AdamW(weights, lrs, recipe)
    for step in range(5):
        gradients = torch.randn(3, 50, generator=generator) * 10.0 ** (step - 3)
        for row, gradient, optimizer in zip(rows, gradients, theirs, strict=True):
            row.grad = gradient.clone()
            torch.nn.utils.clip_grad_norm_([row], recipe.clip_norm)
            optimizer.step()
        expected_norms = gradients.norm(dim=1)
        assert torch.allclose(ours.step(weights, gradients, 1.0), expected_norms)
    torch.testing.assert_close(weights, torch.stack([row.data for row in rows]), rtol=1e-5, atol=1e-6)


def test_schedule_warms_up_then_decays_to_almost_zero() -> None:
    factors = [Recipe(warmup=0.1).schedule(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == 1.0 == factors[9]
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert 0 < factors[-1] < 0.001
    assert Recipe().schedule(0, 1) == 1.0


def test_data_is_seen_once_in_an_order_of_the_seed() -> None:
    stream = corpus.tokens(corpus.DEFAULT_WEIGHTS, 16 * 50 + 1, 4)
    sequences = training_sequences(corpus.DEFAULT_WEIGHTS, 16 * 50, 16, 4)
    assert sequences.shape == (50, 17)
    in_stream = sorted(stream[i * 16 : i * 16 + 17].tolist() for i in range(50))
    assert sorted(sequences.tolist()) == in_stream


def test_validation_is_large_and_not_training_data() -> None:
    assert VALIDATION_TOKENS >= 65_536
    assert validation_sequences(corpus.DEFAULT_WEIGHTS, 16).shape == (4096 // 16, 17)
    train_rows = {tuple(row) for row in training_sequences(corpus.DEFAULT_WEIGHTS, 4096, 16, 0).tolist()}
    validation_rows = {tuple(row) for row in validation_sequences(corpus.DEFAULT_WEIGHTS, 16).tolist()}
    assert len(train_rows & validation_rows) < 3


def test_unigram_loss_of_a_known_distribution() -> None:
    train_data = torch.tensor([[0] * 74 + [1] * 24], dtype=torch.uint8)  # 3/4 and 1/4 after smoothing by one each
    validation = torch.tensor([[0, 0, 1]], dtype=torch.uint8)
    assert unigram_loss(train_data, validation, 2) == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)


def test_impossible_calls_are_refused() -> None:
    with pytest.raises(CollectError, match="one learning rate per seed"):
        train(SHAPE, TOKENS, 8, (0.01,), (0, 1))
    with pytest.raises(CollectError, match="do not fill one batch"):
        train(SHAPE, 100, 8, (0.01,), (0,))
