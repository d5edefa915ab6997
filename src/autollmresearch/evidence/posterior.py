"""Posterior: what the analyst believes of every candidate, and what to try with the budget that is left.

Everything rests on joint samples: each sample is one possible world, a loss for every candidate. The probability of
being best counts worlds; a set of proposals is judged by the best loss it would hold in each world.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.parameter import FloatArray


@dataclass(frozen=True)
class Trend:
    """A fitted exponent: how the best value of a parameter, or the level of the metric, moves with fidelity.

    `factor` is what a doubling of the fidelity's number multiplies the value by, with its 95 % interval; `exponent` is its
    logarithm to base 2. For parameters without a logarithmic scale both are in units of the range, and additive.
    """

    what: str
    fidelity: str
    exponent: float
    low: float
    high: float
    logarithmic: bool = True

    @property
    def factor(self) -> float:
        """What a doubling multiplies by (logarithmic trends)."""
        return float(2.0**self.exponent)


@dataclass(frozen=True)
class Explanation:
    """Why the analyst believes what it does.

    Attributes:
        model: which surrogate, in a few words.
        trends: fitted exponents with intervals.
        sentences: the same for people, most important first.
        warnings: what weakens the conclusion.
    """

    model: str
    trends: tuple[Trend, ...] = ()
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Posterior:
    """The analyst's belief about the n configurations of the target's pool.

    Attributes:
        mean, sd: [n] expected loss (smaller is better, whatever the metric's direction) and its standard deviation,
            without the noise of a single run.
        samples: [samples, n] possible worlds.
        noise: standard deviation of a single run around its expectation.
        told: [m] rows that were told, which are not proposed again.
        explanation: why.
    """

    mean: FloatArray
    sd: FloatArray
    samples: FloatArray
    noise: float
    told: NDArray[np.int64]
    explanation: Explanation = field(default_factory=lambda: Explanation("none"))

    @property
    def best(self) -> FloatArray:
        """[n] probability that a candidate is the best of all: the share of worlds in which it is."""
        winners = np.argmin(self.samples, axis=1)
        return np.bincount(winners, minlength=self.samples.shape[1]) / len(self.samples)


def proposals(posterior: Posterior, budget: int) -> NDArray[np.int64]:
    """At most `budget` rows not told yet, in the order to try them.

    Greedy on the expected minimum over the set: the first has the least mean, each next lowers most what the best of
    them is expected to be (a submodular objective, for which greedy is within 1 - 1/e of the best set: Nemhauser et al.
    1978). So they hedge: two near twins are seldom both proposed. If everything was told, the same without that bar.

    A budget of one is played greedily; with more trials left the first proposal of the set is still the first to
    make, because the rest is chosen anew after its outcome.
    """
    count = posterior.samples.shape[1]
    open_ = np.ones(count, dtype=bool)
    if len(np.unique(posterior.told)) < count:
        open_[posterior.told] = False
    rows = np.flatnonzero(open_)
    samples = posterior.samples[:, rows]
    chosen = [int(np.argmin(posterior.mean[rows]))]
    so_far = samples[:, chosen[0]]
    while len(chosen) < min(budget, len(rows)):
        expected = np.minimum(samples, so_far[:, None]).mean(axis=0)
        expected[chosen] = np.inf
        # Where nothing is expected to help any more the least mean is as good as any, and better for a reader.
        ties = np.flatnonzero(expected <= expected.min() + 1e-12 * (1 + abs(expected.min())))
        chosen.append(int(ties[np.argmin(posterior.mean[rows][ties])]))
        so_far = np.minimum(so_far, samples[:, chosen[-1]])
    return rows[np.array(chosen)]
