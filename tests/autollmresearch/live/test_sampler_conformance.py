"""AutoLLMSampler keeps what Optuna asks of every sampler: the suites it publishes for plug-in authors."""

from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase

from autollmresearch.live import AutoLLMSampler

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore::autollmresearch.errors.EvidenceIgnored"),  # the suites also use other spaces
]


def _without_evidence() -> BaseSampler:
    return AutoLLMSampler(policy="analyst", seed=0)


def _with_evidence() -> BaseSampler:
    """Evidence on the very names that the suites use, so that the policy, not chance, proposes there."""
    cheap = optuna.create_study()
    for x, y in ((0.1, 0.3), (0.5, 1.0), (0.9, 0.2), (3.0, 5.0), (7.0, 8.0)):
        floats = optuna.distributions.FloatDistribution(0, 10)
        trial = optuna.create_trial(params={"x": x, "y": y}, distributions={"x": floats, "y": floats}, value=x + y)
        cheap.add_trial(trial)
    return AutoLLMSampler(evidence=[(cheap, {"N": 1e6})], fidelity={"N": 1e8}, policy="analyst", seed=0)


class _BothWays:
    """A new sampler per call, as the suites want it, with and without evidence."""

    @pytest.fixture(params=[_without_evidence, _with_evidence], ids=["alone", "with-evidence"])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        make: Callable[[], BaseSampler] = request.param
        return make


class TestBasic(_BothWays, BasicSamplerTestCase):
    """Legal values of every distribution, conditional and dynamic spaces, NaN, partly fixed parameters."""


class TestRelative(_BothWays, RelativeSamplerTestCase):
    """Joint proposals, numbers and categories mixed, two jobs."""


class TestSingleObjective(_BothWays, SingleOnlySamplerTestCase):
    """A study of two objectives is refused with a ValueError."""
