"""Train R replicas of one decoder side by side, each on a mixture of domains of its own.

What it promises: replica r's run depends on the shape, D, the batch size, the learning rate, `mixtures[r]`,
`seeds[r]` and the recipe, and the same call gives the same bits again on the same machine. The recipe is that of
`train.py`. What a run is judged by is the same for all: the loss on each domain apart, and how well it answers the
questions of those that ask some, whether it saw them or not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.answers import MARKS, accuracy, questions
from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.collect.lab.train import (
    DEFAULT_RECIPE,
    VALIDATION_SEED,
    AdamW,
    Recipe,
    training_sequences,
    validate,
)
from llmconfig_gym.errors import CollectError

VALIDATION_TOKENS = 2**13
"""Held-out tokens of each domain."""

QUESTIONS = 512
"""Questions of each domain that asks some."""


@dataclass(frozen=True)
class Run:
    """How one replica's training ended. `diverged`: a loss was not finite."""

    losses: Mapping[str, float]  # per domain, nats per token
    accuracies: Mapping[str, float]  # per domain that asks questions, see answers.py
    train_loss: float  # mean over the last 5% of the steps, on the replica's own mixture
    status: Literal["ok", "diverged"]
    steps: int
    seconds: float  # wall time of the whole stack divided by its replicas

    @property
    def mean_loss(self) -> float:
        """Over the domains, all counting the same."""
        return math.fsum(self.losses.values()) / len(self.losses)


def train_mixtures(
    shape: DecoderShape,
    tokens: int,
    batch_size: int,
    lr: float,
    mixtures: Sequence[Mapping[str, float]],
    seeds: Sequence[int],
    *,
    recipe: Recipe = DEFAULT_RECIPE,
    device: torch.device | str = "cpu",
) -> list[Run]:
    """Train one replica per (mixture, seed) on `tokens` tokens in batches of `batch_size` sequences; R runs.

    A seed governs the initial weights, the training data and their order.
    Raises CollectError if mixtures and seeds differ in number or the tokens do not fill a batch.
    """
    if len(mixtures) != len(seeds) or not seeds:
        raise CollectError(f"one seed per mixture is needed, found {len(mixtures)} mixtures and {len(seeds)} seeds.")
    steps = tokens // (shape.context * batch_size)
    if steps < 1:
        raise CollectError(f"{tokens} tokens do not fill one batch of {batch_size} x {shape.context}.")
    start = time.perf_counter()
    replicas = len(seeds)
    each = [training_sequences(m, tokens, shape.context, s) for m, s in zip(mixtures, seeds, strict=True)]
    data = torch.stack(each).to(device)
    decoder = StackedDecoder(shape, replicas, device)
    decoder.initialise(seeds)
    optimizer = AdamW(decoder.weights, [lr] * replicas, recipe)
    losses = torch.empty(steps, replicas, device=device)
    for step in range(steps):
        loss = decoder.losses(data[:, step * batch_size : (step + 1) * batch_size].long())
        decoder.backward(loss)
        optimizer.step(decoder.weights, decoder.gradients, recipe.schedule(step, steps))
        losses[step] = loss.detach()
    by_domain = {
        d: validate(decoder, training_sequences({d: 1.0}, VALIDATION_TOKENS, shape.context, VALIDATION_SEED))
        for d in corpus.DOMAINS
    }
    by_question = {d: accuracy(decoder, questions(d, QUESTIONS, shape.context)) for d in MARKS}
    seconds = (time.perf_counter() - start) / replicas
    late = losses[-max(1, steps // 20) :].double().mean(dim=0)
    runs: list[Run] = []
    for r in range(replicas):
        mine = {d: found[r] for d, found in by_domain.items()}
        finite = bool(losses[:, r].isfinite().all()) and all(math.isfinite(v) for v in mine.values())
        answered = {d: found[r] for d, found in by_question.items()}
        runs.append(Run(mine, answered, float(late[r]), "ok" if finite else "diverged", steps, seconds))
    return runs
