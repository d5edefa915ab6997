"""Oracle: the noise floor. What is lost by someone who measured every configuration of the target once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.choosing import least_untried
from autollmresearch.errors import NotApplicable
from autollmresearch.policy import Proposal, State
from llmconfig_gym.experiment import Experiment


@dataclass(frozen=True)
class OraclePolicy:
    """The best of the target by one noisy measurement of every configuration, then the second best, and so on.

    It is no method but a line to compare with: a benchmark's runner shows it the target's table, and its regret,
    averaged over seeds, is what choosing by one run of each configuration is expected to lose. A measurement is the
    table's value plus normal noise of `Experiment.noise`; where that is not known it is the value, and nothing is lost.

    Raises:
        NotApplicable: no table was shown to it, as outside a benchmark.
    """

    target: Experiment | None = None

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        if self.target is None:
            raise NotApplicable("the oracle must be shown the target's outcomes, which only a benchmark has")
        noise = 0.0 if np.isnan(self.target.noise) else self.target.noise
        once = np.random.default_rng(state.seed)  # the same measurement at every turn
        measured = self.target.losses + noise * once.standard_normal(len(self.target.losses))
        return Proposal(least_untried(state, measured), "best by one measurement of every configuration")
