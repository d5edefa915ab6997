"""The analyst as a policy."""

from collections.abc import Callable, Mapping

import pytest

from autollmresearch.evidence import analyst as evidence
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policies.analyst import AnalystPolicy
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite

Problems = Callable[..., Problem]


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
@pytest.mark.parametrize("protocol", ["full", "metered:1", "metered:6"])
def test_proposals_are_legal_repeatable_and_never_told_before(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    assert_lawful: Callable[..., None],
    task: str,
    protocol: str,
) -> None:
    assert_lawful("analyst", targets[task], problem_of(targets[task], protocol, budget=4))


def test_a_pool_smaller_than_the_budget_is_told_whole(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    cut: Callable[[Experiment, int], Experiment],
    assert_lawful: Callable[..., None],
) -> None:
    target = cut(targets["pretraining"], 3)
    assert_lawful("analyst", target, problem_of(target, budget=5))


def test_the_order_of_a_batch_changes_nothing(toy: Suite, problem_of: Problems) -> None:
    states = [State(problem_of(e, "metered:4", seed=s), (), s) for e in toy.split("high")[:3] for s in range(2)]
    policy = AnalystPolicy()
    together = policy.propose(states)
    assert together == [policy.propose([state])[0] for state in states]
    assert policy.propose(states[::-1]) == together[::-1]


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
