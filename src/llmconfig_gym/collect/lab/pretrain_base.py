"""The base policy of a reinforcement-learning experiment: a decoder taught a family until it is right now and then.

What it promises: `base_policy` gives the same weights for the same arguments on the same machine, and keeps them in
a file, so that a sweep teaches each base once. Teaching stops at the first check whose expected held-out accuracy at
temperature 1 reaches the target: a policy that is sometimes right is what reinforcement learning can improve.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.collect.lab.problems import END, Problems
from llmconfig_gym.collect.lab.sampling import accuracies, answer_logits
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.collect.lab.train import AdamW, Recipe
from llmconfig_gym.errors import CollectError


@dataclass(frozen=True)
class Teaching:
    """How a base policy is taught: AdamW at a constant learning rate on examples with their answers."""

    target: float = 0.3  # expected held-out accuracy of one sampled answer, at which teaching stops
    lr: float = 4e-3
    batch_size: int = 64
    check_every: int = 5  # steps
    most_steps: int = 6000
    seed: int = 0


def base_policy(
    shape: DecoderShape,
    examples: Problems,
    held_out: Problems,
    teaching: Teaching,
    cache: Path | None = None,
) -> tuple[Tensor, float]:
    """Flat weights [P] of the base policy (see `StackedDecoder.weights`) and its expected held-out accuracy.

    `cache` is a directory for the weights: they are read from it if it has them, else taught and written there.
    Raises CollectError if the target is not reached within the steps allowed.
    """
    path = None if cache is None else cache / f"base-{_key(shape, examples, held_out, teaching)}.npz"
    if path is not None and path.is_file():
        with np.load(path, allow_pickle=False) as file:
            return torch.from_numpy(file["weights"]), float(file["accuracy"])
    weights, accuracy = _teach(shape, examples, held_out, teaching)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as temporary:
            np.savez(temporary, weights=weights.numpy(), accuracy=accuracy)
        Path(temporary.name).replace(path)
    return weights, accuracy


def _teach(shape: DecoderShape, examples: Problems, held_out: Problems, teaching: Teaching) -> tuple[Tensor, float]:
    torch.set_flush_denormal(True)
    decoder = StackedDecoder(shape, 1)
    decoder.initialise([teaching.seed])
    optimizer = AdamW(decoder.weights, [teaching.lr], Recipe(weight_decay=0.0))
    generator = torch.Generator().manual_seed(teaching.seed)
    prompts, answers = torch.from_numpy(examples.prompts), torch.from_numpy(examples.answers)
    questions, solutions = torch.from_numpy(held_out.prompts), torch.from_numpy(held_out.answers)
    accuracy = 0.0
    for step in range(1, teaching.most_steps + 1):
        rows = torch.randint(len(prompts), (teaching.batch_size,), generator=generator)
        loss = imitation_loss(decoder, prompts[rows], answers[rows])
        decoder.backward(loss)
        optimizer.step(decoder.weights, decoder.gradients, min(1.0, step / 20))
        if step % teaching.check_every == 0:
            accuracy = float(accuracies(decoder, questions, solutions)[0])
            if accuracy >= teaching.target:
                return decoder.weights[0].clone(), accuracy
    raise CollectError(
        f"the base policy reached an accuracy of {accuracy:.3f} in {teaching.most_steps} steps, short of "
        f"{teaching.target}; choose a larger model, more steps or a lower target."
    )


def imitation_loss(decoder: StackedDecoder, prompts: Tensor, answers: Tensor) -> Tensor:
    """Mean cross-entropy of answers [B, T] to `prompts` [B, L], per token with the end, in nats, [1]."""
    sequences = torch.cat([prompts, answers], dim=1)[None]
    logits = answer_logits(decoder, sequences, prompts.shape[1])[0]
    each = F.cross_entropy(logits.flatten(0, 1), answers.flatten(), reduction="none").view_as(answers)
    ended = (answers == END).long()
    mask = (ended.cumsum(dim=1) - ended == 0).float()
    return ((each * mask).sum() / mask.sum())[None]


def _key(shape: DecoderShape, examples: Problems, held_out: Problems, teaching: Teaching) -> str:
    """A name for the weights: a digest of all that decides them but the code."""
    sha = hashlib.sha256(json.dumps([asdict(shape), asdict(teaching)], sort_keys=True).encode())
    for part in (examples, held_out):
        sha.update(part.prompts.tobytes())
        sha.update(part.answers.tobytes())
    return sha.hexdigest()[:16]
