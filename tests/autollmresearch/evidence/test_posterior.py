"""Posterior: probabilities of being best, and proposals that hedge."""

import numpy as np

from autollmresearch.evidence.posterior import Posterior, proposals
from llmconfig_gym.parameter import FloatArray


def belief(samples: FloatArray, told: list[int] | None = None) -> Posterior:
    return Posterior(samples.mean(axis=0), samples.std(axis=0), samples, 0.0, np.array(told or [], dtype=np.int64))


def twins() -> FloatArray:
    """Two twins that are good together in half of the worlds, and one of worse mean that is good in the others."""
    world = np.arange(400) % 2
    first = np.where(world == 0, 0.0, 1.0)
    return np.stack([first, first + 0.01, np.where(world == 0, 1.3, 0.1), np.full(400, 2.0)], axis=1)


def test_the_probability_of_being_best_counts_worlds() -> None:
    best = belief(twins()).best
    np.testing.assert_allclose(best, [0.5, 0.0, 0.5, 0.0])
    assert best.sum() == 1.0


def test_a_set_of_proposals_hedges_where_the_best_means_would_not() -> None:
    posterior = belief(twins())
    assert np.argsort(posterior.mean)[:2].tolist() == [0, 1]
    assert proposals(posterior, 2).tolist() == [0, 2]


def test_the_first_has_the_least_mean_and_what_was_told_is_not_proposed() -> None:
    samples = np.random.default_rng(0).standard_normal((50, 8)) + np.arange(8) / 4
    assert proposals(belief(samples), 1)[0] == np.argmin(samples.mean(axis=0))
    assert set(proposals(belief(samples, [0, 3]), 8).tolist()) == {1, 2, 4, 5, 6, 7}


def test_after_a_good_outcome_the_improvement_counts_not_the_mean() -> None:
    samples = np.stack([np.full(100, 0.5), np.full(100, 0.6), np.where(np.arange(100) < 10, 0.0, 2.0)], axis=1)
    posterior = belief(samples, [0])
    assert posterior.mean[1] < posterior.mean[2]
    assert proposals(posterior, 1).tolist() == [2]


def test_no_proposal_is_worse_than_another_choice_of_the_greedy_step() -> None:
    samples = np.random.default_rng(1).standard_normal((60, 12))
    chosen = proposals(belief(samples), 5)
    for i in range(1, 5):
        held = samples[:, chosen[:i]].min(axis=1)
        gains = np.minimum(samples, held[:, None]).mean(axis=0)
        assert np.isclose(gains[chosen[i]], gains.min())


def test_when_everything_was_told_something_is_still_proposed() -> None:
    assert len(proposals(belief(twins(), [0, 1, 2, 3]), 1)) == 1
    assert len(proposals(belief(twins()), 0)) == 1
    assert sorted(proposals(belief(twins()), 99).tolist()) == [0, 1, 2, 3]
