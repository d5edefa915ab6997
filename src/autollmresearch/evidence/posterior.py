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

    Attributes:
        what: the parameter, or the metric's name.
        fidelity: the fidelity's number, e.g. `parameters`.
        exponent: octaves per octave, so that a doubling multiplies by `2 ** exponent`. Where `logarithmic` is False,
            shares of the parameter's range, or units of the metric, that a doubling adds.
        low, high: its 95 % interval.
        learned: the share of the prior's variance that the runs have taken away; near 0 the prior speaks alone.
    """

    what: str
    fidelity: str
    exponent: float
    low: float
    high: float
    logarithmic: bool = True
    learned: float = 1.0


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
    """At most `budget` rows not told yet, in the order to try them; at least one.

    Greedy on the expected minimum over what was told and the set together: each next row lowers most what the best of
    them all is expected to be (a submodular objective, for which greedy is within 1 - 1/e of the best set: Nemhauser
    et al. 1978). With nothing told the first has the least mean; the later ones hedge: of two near twins the second
    is seldom worth a trial. The first is to be made, and the rest chosen anew after its outcome. If everything was
    told, rows are proposed again.
    """
    count = posterior.samples.shape[1]
    open_ = np.ones(count, dtype=bool)
    open_[posterior.told] = False
    rows = np.flatnonzero(open_) if open_.any() else np.arange(count)
    samples, mean = posterior.samples[:, rows], posterior.mean[rows]
    held = posterior.samples[:, posterior.told].min(axis=1) if len(posterior.told) else np.inf
    chosen: list[int] = []
    while len(chosen) < min(max(budget, 1), len(rows)):
        if chosen or len(posterior.told):
            expected = np.minimum(samples, np.reshape(held, (-1, 1))).mean(axis=0)
        else:
            expected = mean.copy()
        expected[chosen] = np.inf
        # Where nothing is expected to help any more, the least mean is as good as any and better for a reader.
        ties = np.flatnonzero(expected <= expected.min() + 1e-12 * (1 + abs(float(expected.min()))))
        ties = ties[np.isin(ties, chosen, invert=True)]
        chosen.append(int(ties[np.argmin(mean[ties])]))
        held = np.minimum(held, samples[:, chosen[-1]])
    return np.asarray(rows[np.array(chosen)])
