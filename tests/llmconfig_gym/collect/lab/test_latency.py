"""Latency: the least of the timed passes, in seconds. The clock is faked: no test depends on a real one."""

from __future__ import annotations

import itertools

import pytest

from llmconfig_gym.collect.lab import corpus, latency
from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.collect.lab.shape import DecoderShape

SHAPE = DecoderShape(1, 8, 2, 1, 16, corpus.VOCABULARY)


def test_the_least_pass_over_eight_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    took = itertools.chain.from_iterable((0.0, t) for t in (0.5, 0.2, 0.9))
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(took))
    seen: list[tuple[int, ...]] = []
    logits = StackedDecoder.logits

    def spy(self: StackedDecoder, tokens: object) -> object:
        seen.append(tuple(tokens.shape))  # type: ignore[attr-defined]
        return logits(self, tokens)  # type: ignore[arg-type]

    monkeypatch.setattr(StackedDecoder, "logits", spy)
    assert latency.forward_seconds(SHAPE, repeats=3) == 0.2
    assert seen == [(1, 8, 16)] * 3


def test_it_is_a_positive_time() -> None:
    assert latency.forward_seconds(SHAPE, repeats=2) > 0
