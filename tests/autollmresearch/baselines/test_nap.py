"""NAP: what its network does not depend on, and that the shipped one has learned to search."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from autollmresearch.baselines.nap_network import BUCKETS, drawn, look
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.methods import identity, make_policy
from llmconfig_gym.errors import MissingExtra
from llmconfig_gym.experiment import Experiment

Parts = tuple[torch.Tensor, ...]


def test_on_sine_waves_it_beats_random_search_clearly(line: Callable[..., Experiment]) -> None:
    """The paper has no toy problem; these are those on which FSBO's paper shows itself, with little to tell apart."""
    rng = np.random.default_rng(1)
    lost: dict[str, list[float]] = {"nap": [], "random": []}
    for _ in range(3):
        waves = [np.sin(2 * np.pi * (np.arange(60) / 60 + 0.15 * rng.random())) for _ in range(3)]
        cheaper = [line(w.tolist(), cost=i + 1.0, level="low") for i, w in enumerate(waves[:2])]
        target = line((3 + 2 * waves[2]).tolist(), cost=100.0)
        problem = Protocol(30).problems(target, cheaper, 4, [0])[0]
        for method, n in (("nap", 1), ("random", 30)):
            for episode in run_episodes(make_policy(method), [target] * n, [problem] * n, range(n)):
                values = [t.outcome.value for t in episode.turns]
                lost[method].append(float(target.regret(min(v for v in values if v is not None))))
    assert np.mean(lost["nap"]) < 0.5 * np.mean(lost["random"])


@pytest.fixture
def parts() -> Parts:
    """Two problems of seven configurations, three of them told."""
    rng = np.random.default_rng(0)
    x = rng.random((2, 7, 1))
    covariance = np.exp(-np.square(x - np.swapaxes(x, 1, 2)))
    told = np.array([[0, 3, 5], [6, 2, 1]])
    cross = np.take_along_axis(covariance, told[:, None], axis=2)
    within = np.take_along_axis(cross, told[:, :, None], axis=1)
    numbers = (rng.random((2, 7, 4)), rng.standard_normal((2, 3)), cross, within)
    cheap, outcomes, *both = (torch.tensor(a, dtype=torch.float32) for a in numbers)
    return cheap, torch.tensor(told), outcomes, *both


def test_the_order_of_trials_and_the_other_configurations_do_not_matter(parts: Parts) -> None:
    network = drawn(np.random.default_rng(0), 16, 2)
    cheap, told, outcomes, cross, within = parts
    scores, logits = look(network, *parts, budget=5)
    assert scores.shape == (2, 7)
    assert logits.shape == (2, 7, BUCKETS)
    turn = torch.tensor([2, 0, 1])
    moved = (cheap, told[:, turn], outcomes[:, turn], cross[:, :, turn], within[:, turn][:, :, turn])
    assert torch.allclose(look(network, *moved, budget=5)[0], scores, atol=1e-5)
    changed = cheap.clone()
    changed[:, 4] += 1.0  # told in neither
    other = look(network, changed, *parts[1:], budget=5)[0]
    assert torch.allclose(other[:, :4], scores[:, :4], atol=1e-5)
    assert not torch.allclose(other[:, 4], scores[:, 4], atol=1e-5)


def test_it_needs_no_trial(parts: Parts) -> None:
    cheap, told, outcomes, cross, within = parts
    empty = (cheap, told[:, :0], outcomes[:, :0], cross[:, :, :0], within[:, :0, :0])
    scores, _ = look(drawn(np.random.default_rng(0), 16, 2), *empty, budget=5)
    assert torch.isfinite(scores).all()


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'autollmresearch\[bench\]'"):
        make_policy("nap")


def test_a_benchmark_knows_which_network_it_used() -> None:
    assert len(identity("nap")["network"]) == 64
