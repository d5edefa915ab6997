"""A small live study with everything that a report shows, and what it needs to be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autollmresearch.evidence.records import CheapRuns
from autollmresearch.live.spec import Spec
from autollmresearch.live.study import LiveStudy, create_study
from autollmresearch.policy import Candidate, Proposal
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import Categorical, Grid, Real
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

SPACE = Space((Real("lr", 1e-4, 1e-1, log=True), Grid("batch", (16, 32, 64), log=True), Categorical("act", ("a", "b"))))

HOSTILE = (
    "<script>document.title = 'pwned'</script>",
    "</script><img src=x onerror=\"document.title='pwned'\">",
    "<!-- <script> \u2028\u2029 \u202e ' \" ` ${1} {{ 7 * 7 }} &lt;b&gt;",
)


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., LiveStudy]:
    """A study without trials that knows six cheaper runs: `make_study(name, budget, policy)`."""

    def make(name: str = "big", budget: int = 3, policy: str = "random") -> LiveStudy:
        rates = [1e-4, 1e-3, 1e-2] * 2
        configs = [{"lr": lr, "batch": 16 * 2 ** (k % 3), "act": "ab"[k % 2]} for k, lr in enumerate(rates)]
        losses = np.array([3.0, 2.5, 2.7, 3.1, 2.4, 2.8])
        cheaper = CheapRuns(Fidelity({"N": 1e6}, 1e6), Pool.from_configs(SPACE, configs), losses, {})
        metric = Metric("val_loss", "minimize")
        spec = Spec("pretraining", Fidelity({"N": 1e9}, 1e9), metric, SPACE, budget, policy, cheaper=(cheaper,))
        return create_study(name, f"sqlite:///{tmp_path / 'studies.db'}", spec)

    return make


def _propose(study: LiveStudy, lr: float, said: str = "Because.", mean: float | None = 2.3) -> int:
    config = {"lr": lr, "batch": 32, "act": "a"}
    proposal = Proposal(config, said, mean=mean, sd=0.1, candidates=(Candidate(config, 0.6),), trends="It falls.")
    trial = study.add(proposal, config, study.trials())
    assert trial is not None
    return trial.number


@pytest.fixture
def propose() -> Callable[..., int]:
    """Open a trial at this rate: `propose(study, lr, said, mean)`; its number."""
    return _propose


@pytest.fixture
def hostile() -> tuple[str, ...]:
    """What the study's reasons say."""
    return HOSTILE


@pytest.fixture
def study(make_study: Callable[..., LiveStudy]) -> LiveStudy:
    """Three trials, all said in hostile words: one told, one failed, one open."""
    made = make_study()
    for lr, said in zip((1e-3, 2e-3, 5e-3), HOSTILE, strict=True):
        _propose(made, lr, said)
    made.tell(0, 2.25)
    made.fail(1, HOSTILE[0])
    return made
