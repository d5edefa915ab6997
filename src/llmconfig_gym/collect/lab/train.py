"""Train R replicas of one decoder shape side by side, each with its own learning rate and seed.

What it promises: replica r's run depends on the shape, D, the batch size, `lrs[r]`, `seeds[r]` and the
recipe, and the same call gives the same bits again on the same machine. A replica that diverges is
recorded as such and does not touch the others. Another stacking (other replicas beside it) may change
the last bits of a sum, because BLAS may pick another kernel; what `verify` compares with is the spread
over seeds.

The recipe is the common one for language models: AdamW (Loshchilov and Hutter 2019) with betas 0.9 and
0.95 and decoupled weight decay 0.1, gradient clipping at norm 1, linear warm-up over the first 5% of the
steps, cosine decay to zero, every token seen once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.errors import CollectError

VALIDATION_SEED = 2**31
VALIDATION_TOKENS = 2**16


@dataclass(frozen=True)
class Recipe:
    """Everything about training that the sweep holds fixed."""

    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    warmup: float = 0.05  # share of the steps

    def schedule(self, step: int, steps: int) -> float:
        """Factor on the learning rate at `step` (from 0) of `steps`: linear warm-up, then cosine to zero."""
        warmup = max(1, round(self.warmup * steps))
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step + 1 - warmup) / (steps + 1 - warmup)))


DEFAULT_RECIPE = Recipe()


@dataclass(frozen=True)
class Run:
    """How one replica's training ended. Losses are nats per token; non-finite numbers are kept as they are.

    `diverged` means that some loss was not finite, or that the final validation loss is above that of always
    predicting the training data's symbol frequencies and the run was not merely slow: a slow run's training
    loss at a quarter is about that of the uniform distribution, where it began, or less, and it still falls.
    """

    validation_loss: float
    status: Literal["ok", "diverged"]
    train_loss: float  # mean over the last 5% of the steps
    train_loss_quarter: float  # mean over the 5% of the steps that end at a quarter
    train_loss_half: float
    train_loss_three_quarters: float
    gradient_norm_mean: float  # before clipping
    gradient_norm_max: float
    steps: int
    seconds: float  # wall time of the whole stack divided by its replicas


def training_sequences(weights: Mapping[str, float], tokens: int, context: int, seed: int) -> Tensor:
    """The seed's training data in the seed's order, [tokens // context, context + 1], uint8."""
    count = tokens // context
    stream = torch.from_numpy(corpus.tokens(weights, count * context + 1, seed))
    sequences = stream.unfold(0, context + 1, context)
    order = np.argsort(np.random.PCG64(np.random.SeedSequence([seed, 9999])).random_raw(count), kind="stable")
    return sequences[torch.from_numpy(order)]


def validation_sequences(weights: Mapping[str, float], context: int) -> Tensor:
    """The validation data, the same for every run, [VALIDATION_TOKENS // context, context + 1], uint8."""
    return training_sequences(weights, VALIDATION_TOKENS, context, VALIDATION_SEED)


def unigram_loss(train: Tensor, validation: Tensor, vocab: int) -> float:
    """Loss of predicting every symbol of `validation` by its frequency in `train`, in nats per token."""
    counts = torch.bincount(train.flatten().long(), minlength=vocab).double() + 1
    logs = (counts / counts.sum()).log()
    return -float(logs[validation[:, 1:].flatten().long()].mean())


@torch.no_grad()
def validate(decoder: StackedDecoder, sequences: Tensor, batch: int = 64) -> list[float]:
    """Mean loss of each replica on `sequences` [M, T + 1], in nats per token, R numbers."""
    total = torch.zeros(decoder.replicas, dtype=torch.float64, device=decoder.weights.device)
    for start in range(0, len(sequences), batch):
        chunk = sequences[start : start + batch]
        shared = chunk.long().to(total.device).expand(decoder.replicas, *chunk.shape)
        total += decoder.losses(shared).double() * len(chunk)
    return [float(loss) for loss in total / len(sequences)]


class AdamW:
    """AdamW over the rows of a [R, P] tensor, with a learning rate and a gradient norm of each row's own."""

    def __init__(self, weights: Tensor, lrs: Sequence[float], recipe: Recipe) -> None:
        self.recipe = recipe
        self.lrs = torch.tensor(lrs, dtype=torch.float32, device=weights.device)[:, None]
        self.first = torch.zeros_like(weights)
        self.second = torch.zeros_like(weights)
        self.steps = 0

    @torch.no_grad()
    def step(self, weights: Tensor, gradients: Tensor, factor: float) -> Tensor:
        """Update `weights` in place (and clip `gradients` in place); the norms before clipping, [R]."""
        recipe = self.recipe
        self.steps += 1
        norms: Tensor = torch.linalg.vector_norm(gradients, dim=1)
        gradients *= (recipe.clip_norm / (norms + 1e-6)).clamp(max=1.0)[:, None]
        self.first.lerp_(gradients, 1 - recipe.beta1)
        self.second.mul_(recipe.beta2).addcmul_(gradients, gradients, value=1 - recipe.beta2)
        correction1 = 1 - recipe.beta1**self.steps
        correction2 = 1 - recipe.beta2**self.steps
        denominator = self.second.sqrt().div_(math.sqrt(correction2)).add_(recipe.epsilon)
        lrs = self.lrs * factor
        weights *= 1 - lrs * recipe.weight_decay
        weights -= (self.first / denominator).mul_(lrs / correction1)
        return norms


def train(
    shape: DecoderShape,
    tokens: int,
    batch_size: int,
    lrs: Sequence[float],
    seeds: Sequence[int],
    *,
    weights: Mapping[str, float] = corpus.DEFAULT_WEIGHTS,
    recipe: Recipe = DEFAULT_RECIPE,
    device: torch.device | str = "cpu",
) -> list[Run]:
    """Train one replica per (lr, seed) on `tokens` tokens in batches of `batch_size` sequences; R runs.

    A seed governs the initial weights, the training data and their order. The number of steps is
    tokens // (context * batch_size), so that every replica sees the same number of tokens.
    Raises CollectError if lrs and seeds differ in number or the tokens do not fill a batch.
    """
    if len(lrs) != len(seeds) or not lrs:
        raise CollectError(f"one learning rate per seed is needed, found {len(lrs)} and {len(seeds)}.")
    steps = tokens // (shape.context * batch_size)
    if steps < 1:
        raise CollectError(f"{tokens} tokens do not fill one batch of {batch_size} x {shape.context}.")
    # Second moments of weights without gradient decay into denormals, which are up to 100 times slower.
    torch.set_flush_denormal(True)
    start = time.perf_counter()
    replicas = len(lrs)
    unique = sorted(set(seeds))
    data = torch.stack([training_sequences(weights, tokens, shape.context, seed) for seed in unique]).to(device)
    rows = torch.tensor([unique.index(seed) for seed in seeds], device=device)
    validation = validation_sequences(weights, shape.context)
    decoder = StackedDecoder(shape, replicas, device)
    decoder.initialise(seeds)
    optimizer = AdamW(decoder.weights, lrs, recipe)
    losses = torch.empty(steps, replicas, device=device)
    norms = torch.empty(steps, replicas, device=device)
    for step in range(steps):
        batch = data[rows, step * batch_size : (step + 1) * batch_size].long()
        loss = decoder.losses(batch)
        decoder.backward(loss)
        norms[step] = optimizer.step(decoder.weights, decoder.gradients, recipe.schedule(step, steps))
        losses[step] = loss.detach()
    final = validate(decoder, validation)
    seconds = (time.perf_counter() - start) / replicas
    ceilings = {seed: unigram_loss(data[i].cpu(), validation, shape.vocab) for i, seed in enumerate(unique)}
    window = max(1, steps // 20)

    def mean_loss(replica: int, end: int) -> float:
        return float(losses[max(0, end - window) : end, replica].double().mean())

    runs: list[Run] = []
    for replica, seed in enumerate(seeds):
        finite = bool(losses[:, replica].isfinite().all()) and math.isfinite(final[replica])
        quarter = mean_loss(replica, max(1, steps // 4))
        slow = final[replica] < quarter < 1.02 * math.log(shape.vocab)
        lost = final[replica] > ceilings[seed] and not slow
        runs.append(
            Run(
                validation_loss=final[replica],
                status="ok" if finite and not lost else "diverged",
                train_loss=mean_loss(replica, steps),
                train_loss_quarter=quarter,
                train_loss_half=mean_loss(replica, max(1, steps // 2)),
                train_loss_three_quarters=mean_loss(replica, max(1, 3 * steps // 4)),
                gradient_norm_mean=float(norms[:, replica].double().mean()),
                gradient_norm_max=float(norms[:, replica].max()),
                steps=steps,
                seconds=seconds,
            )
        )
    return runs
