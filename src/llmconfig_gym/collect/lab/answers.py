"""Questions a trained decoder is asked: documents of one domain, whose end is the only correct answer.

The score is the share of an answer's symbols that the decoder gets right when it draws each at temperature 1, given
the question and the correct symbols before. It is computed from the probabilities, not estimated from samples, so it
moves smoothly with the weights even where the whole answer is hardly ever right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.errors import CollectError

MARKS: Final[Mapping[str, str]] = {
    "prose": " ",
    "facts": " ",
    "arithmetic": "=",
    "code": "?",
    "copying": "|",
    "lists": ">",
}
"""In each domain that asks something, the symbol whose last occurrence comes before the answer."""

SEED: Final = 2**31 + 1
"""Of no run's training data."""


@dataclass(frozen=True)
class Questions:
    """M documents of a domain, each after an end of line.

    Attributes:
        sequences: [M, context + 1] int64, filled up with ends of line.
        answer: for each predicted token its weight in the score, [M, context] float: those of an answer of n symbols
            have 1 / n each, all others 0.
    """

    sequences: Tensor
    answer: Tensor


def questions(domain: str, count: int, context: int) -> Questions:
    """The first `count` documents of a domain that fit into a context; the same for every run.

    Raises CollectError for a domain that asks nothing.
    """
    if domain not in MARKS:
        raise CollectError(f"domain {domain!r} has no questions; these have: {', '.join(MARKS)}")
    found: list[str] = []
    amount = 16 * count
    while len(found) < count:  # few documents are longer than a context
        amount *= 2
        text = corpus.decode(corpus.tokens({domain: 1.0}, amount, SEED))
        found = [line for line in text.split("\n")[:-1] if line and len(line) < context]
    sequences = torch.zeros(count, context + 1, dtype=torch.int64)  # zero is the end of a line
    answer = torch.zeros(count, context)
    for row, line in enumerate(found[:count]):
        sequences[row, 1 : len(line) + 1] = torch.from_numpy(corpus.encode(line).astype("int64"))
        first, last = line.rindex(MARKS[domain]) + 1, len(line.rstrip("."))
        answer[row, first:last] = 1 / (last - first)
    return Questions(sequences, answer)


@torch.no_grad()
def accuracy(decoder: StackedDecoder, asked: Questions, batch: int = 128) -> list[float]:
    """Expected share of symbols that each replica answers correctly, averaged over the questions, R numbers."""
    total = torch.zeros(decoder.replicas, dtype=torch.float64, device=decoder.weights.device)
    for start in range(0, len(asked.sequences), batch):
        part = slice(start, start + batch)
        chunk = asked.sequences[part].to(total.device).expand(decoder.replicas, -1, -1)
        correct = decoder.logits(chunk[..., :-1]).softmax(dim=3).gather(3, chunk[..., 1:, None])[..., 0]
        total += (correct * asked.answer[part].to(total.device)).double().sum(dim=(1, 2))
    return [float(t) for t in total / len(asked.sequences)]
