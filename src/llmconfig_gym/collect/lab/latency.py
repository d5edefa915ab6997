"""How long a decoder takes, by the clock: the one number of the lab that another machine does not repeat."""

from __future__ import annotations

import time

import torch

from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.collect.lab.shape import DecoderShape

SEQUENCES = 8
"""Full contexts in the timed batch."""

REPEATS = 200


@torch.no_grad()
def forward_seconds(shape: DecoderShape, device: torch.device | str = "cpu", repeats: int = REPEATS) -> float:
    """The least time of `repeats` forward passes over `SEQUENCES` full contexts, in seconds.

    The least, as the `timeit` module advises: what a pass takes longer than that, other programs took.
    """
    decoder = StackedDecoder(shape, 1, device)
    decoder.initialise([0])
    tokens = torch.zeros(1, SEQUENCES, shape.context, dtype=torch.int64, device=device)
    times = []
    for _ in range(repeats):
        _wait(device)
        start = time.perf_counter()
        decoder.logits(tokens)
        _wait(device)
        times.append(time.perf_counter() - start)
    return min(times)


def _wait(device: torch.device | str) -> None:
    if str(device).startswith("cuda"):
        torch.cuda.synchronize(device)
