"""Training on mixtures: the same bits again, replicas on their own, and a domain is learned by what sees it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import pytest
import torch

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.answers import MARKS
from llmconfig_gym.collect.lab.mixture import Run, train_mixtures
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.errors import CollectError

SHAPE = DecoderShape(1, 16, 2, 4, 32, corpus.VOCABULARY)
TOKENS = 32 * 8 * 60
EVEN: Mapping[str, float] = dict.fromkeys(corpus.DOMAINS, 1 / 7)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("llmconfig_gym.collect.lab.mixture.VALIDATION_TOKENS", 1024)
    monkeypatch.setattr("llmconfig_gym.collect.lab.mixture.QUESTIONS", 32)


def _timeless(runs: list[Run]) -> list[Run]:
    return [dataclasses.replace(run, seconds=0.0) for run in runs]


def test_same_call_same_bits_and_another_seed_or_mixture_other_numbers() -> None:
    mixtures = [EVEN, EVEN, {"prose": 1.0}]
    first = _timeless(train_mixtures(SHAPE, TOKENS, 8, 0.01, mixtures, [0, 1, 0]))
    assert first == _timeless(train_mixtures(SHAPE, TOKENS, 8, 0.01, mixtures, [0, 1, 0]))
    assert len({run.mean_loss for run in first}) == 3


def test_a_replica_beside_others_is_the_replica_alone() -> None:
    mixtures = [EVEN, {"code": 0.5, "lists": 0.5}]
    together = train_mixtures(SHAPE, TOKENS, 8, 0.01, mixtures, [0, 1])
    for mixture, seed, run in zip(mixtures, (0, 1), together, strict=True):
        (alone,) = train_mixtures(SHAPE, TOKENS, 8, 0.01, [mixture], [seed])
        assert run.mean_loss == pytest.approx(alone.mean_loss, abs=1e-3)


def test_a_domain_is_learned_by_whoever_sees_it() -> None:
    one, other = train_mixtures(SHAPE, 4 * TOKENS, 8, 0.01, [{"prose": 1.0}, {"arithmetic": 1.0}], [0, 0])
    for domain, seen, unseen in (("prose", one, other), ("arithmetic", other, one)):
        assert seen.losses[domain] < unseen.losses[domain] - 0.5
        assert seen.accuracies[domain] > unseen.accuracies[domain]
    assert one.train_loss == pytest.approx(one.losses["prose"], abs=0.3)


def test_what_is_reported() -> None:
    (run,) = train_mixtures(SHAPE, TOKENS, 8, 0.01, [EVEN], [0])
    assert set(run.losses) == set(corpus.DOMAINS)
    assert set(run.accuracies) == set(MARKS)
    assert run.mean_loss == pytest.approx(sum(run.losses.values()) / 7)
    assert (run.steps, run.status) == (60, "ok")
    assert all(0 < a < 1 for a in run.accuracies.values())


def test_a_diverging_stack_is_recorded() -> None:
    (run,) = train_mixtures(SHAPE, TOKENS, 8, 1e30, [EVEN], [0])
    assert run.status == "diverged"
    assert not math.isfinite(run.mean_loss)


@pytest.mark.parametrize(("tokens", "seeds"), [(TOKENS, [0, 1]), (TOKENS, []), (32 * 7, [0])])
def test_what_cannot_be_trained(tokens: int, seeds: list[int]) -> None:
    with pytest.raises(CollectError):
        train_mixtures(SHAPE, tokens, 8, 0.01, [EVEN], seeds)
