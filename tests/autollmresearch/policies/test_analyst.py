"""The analyst as a policy."""

from collections.abc import Callable, Mapping

import pytest

from autollmresearch.evidence import analyst as evidence
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policies.analyst import AnalystPolicy
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment

Problems = Callable[..., Problem]


def test_states_that_know_the_same_share_one_fit(
    targets: Mapping[str, Experiment], problem_of: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[int] = []
    fit = evidence.fit

    def counted(problem: Problem, trials: tuple[object, ...]) -> object:
        fits.append(len(trials))
        return fit(problem, trials)  # type: ignore[arg-type]

    monkeypatch.setattr(evidence, "fit", counted)
    target = targets["pretraining"]
    problem = problem_of(target)
    told = (target.outcome(0),)
    proposals = AnalystPolicy().propose([State(problem, t, seed) for seed in range(3) for t in ((), told)])
    assert fits == [0, 1]
    assert proposals[0] == proposals[2] == proposals[4]
    assert proposals[1] == proposals[3] == proposals[5]


def test_a_proposal_says_what_it_expects_and_why(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    mirrored: Callable[[Experiment], Experiment],
    lonely: Callable[[Experiment, int], Problem],
) -> None:
    target = targets["pretraining"]
    proposal = make_policy("analyst").propose([State(problem_of(target))])[0]
    assert proposal.mean is not None
    assert proposal.sd is not None
    assert proposal.sd > 0
    assert abs(proposal.mean - (target.tell(proposal.config).value or 0)) < 5 * proposal.sd
    assert proposal.reasoning.startswith("Expects loss ")
    assert "per doubling of parameters" in proposal.reasoning
    alone = make_policy("analyst").propose([State(lonely(mirrored(target), 2))])[0]
    assert "Beware: 0 usable runs are known" in alone.reasoning
