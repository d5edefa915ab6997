"""Multi-fidelity Bayesian optimisation: better than chance, the same each time, and worth what its papers say."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from autollmresearch.active import multifidelity
from autollmresearch.active.episode import ActiveEpisode, run_active
from autollmresearch.active.multifidelity import FIRST, MultiFidelityPolicy
from autollmresearch.active.records import ActiveState, Query, Run
from autollmresearch.benchmark.protocols import Active
from autollmresearch.methods import make_active
from autollmresearch.policy import Proposal
from llmconfig_gym.errors import MissingExtra
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite

Line = Callable[..., Experiment]
METHODS = ["mf-gp", "mf-kg"]


def law(line: Line, *costs: float) -> list[Experiment]:
    """A valley of 30 levels that moves by one of them per decade of cost."""
    experiments = []
    for cost in costs:
        values = np.square((np.arange(30) - 20 - np.log10(cost)) / 10)
        experiments.append(line(values.tolist(), cost=cost, level="high" if cost == costs[-1] else "low"))
    return experiments


def play(method: str, experiments: Sequence[Experiment], budget: int, seed: int = 0) -> ActiveEpisode:
    problem = Active(budget).problem(experiments[-1], list(experiments[:-1]))
    return run_active(make_active(method), experiments, problem, [seed], 1)[0]


def state_of(experiments: Sequence[Experiment], runs: Sequence[tuple[int, int]], budget: int = 9) -> ActiveState:
    """After these (source, row) were run."""
    problem = Active(budget).problem(experiments[-1], list(experiments[:-1]))
    asked = [(Query(s, Proposal(experiments[s].pool.config(row))), row) for s, row in runs]
    told = (Run(query, experiments[query.source].outcome(row), row) for query, row in asked)
    return ActiveState(problem, tuple(told))


@pytest.mark.parametrize("method", METHODS)
def test_it_beats_chance_at_the_same_cost(line: Line, method: str) -> None:
    experiments = law(line, 1.0, 10.0)
    mean = {}
    for m in (method, "random"):
        values = [play(m, experiments, 1, seed).recommended[-1].outcome.value for seed in range(3)]
        mean[m] = np.mean([float(experiments[-1].regret(v)) for v in values if v is not None])
    assert mean[method] < 0.2 * mean["random"]


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_space_is_served_the_same_each_time(
    toy: Suite, targets: Mapping[str, Experiment], task: str, method: str
) -> None:
    cheaper = toy.cheaper(targets[task].id)
    experiments = [cheaper[-1], targets[task]]
    first = play(f"{method}:runs=8", experiments, 1, seed=3)
    again = play(f"{method}:runs=8", experiments, 1, seed=3)
    assert len(first.runs) > FIRST
    assert [(r.query.source, r.row) for r in first.runs] == [(r.query.source, r.row) for r in again.runs]
    assert all(r.outcome.kind == "measured" for r in first.runs)
    assert first.recommended[-1].proposal == again.recommended[-1].proposal


def test_what_was_fitted_before_changes_nothing_after_an_interruption(line: Line) -> None:
    experiments = law(line, 1.0, 10.0)
    episode = play("mf-kg", experiments, 1)
    problem = Active(1).problem(experiments[-1], experiments[:-1])
    cold = make_active("mf-kg").query([ActiveState(problem, episode.runs[:9])])[0]
    assert cold is not None
    assert cold.proposal.config == episode.runs[9].query.proposal.config


@pytest.mark.parametrize("method", METHODS)
def test_the_first_runs_are_random_cheap_ones_of_equal_cost(line: Line, method: str) -> None:
    experiments = law(line, 1.0, 2.0, 40.0)
    runs = play(f"{method}:runs={FIRST}", experiments, 1).runs
    assert [r.query.source for r in runs] == [0, 1, 0, 0, 1]


@pytest.mark.parametrize("method", METHODS)
def test_an_experiment_as_dear_as_the_target_is_never_run_and_the_target_may_be(line: Line, method: str) -> None:
    values = [float(v) for v in range(8)]
    experiments = [line(values, level="low"), line(values, level="medium"), line(values, cost=1.0)]
    episode = play(method, experiments, 3)
    assert {r.query.source for r in episode.runs} == {2}
    assert len(episode.runs) == 3


@pytest.mark.parametrize("method", METHODS)
def test_no_more_runs_are_paid_for_than_was_said(line: Line, method: str) -> None:
    assert len(play(f"{method}:runs=7", law(line, 1.0, 100.0), 3).runs) == 7


@pytest.mark.parametrize("method", METHODS)
def test_the_cheaper_of_two_experiments_that_say_the_same_is_run(line: Line, method: str) -> None:
    values = np.square((np.arange(30) - 20) / 10).tolist()
    experiments = [line(values, cost=c, level="low") for c in (1.0, 4.0)] + [line(values, cost=100.0)]
    runs = [(s, row) for row in range(0, 30, 6) for s in (0, 1)]
    query = make_active(method).query([state_of(experiments, runs)])[0]
    assert query is not None
    assert query.source == 0


def test_the_knowledge_gradient_is_the_rise_of_the_best_mean_that_runs_bring(line: Line) -> None:
    """Against a simulation: outcomes drawn from the model, the means conditioned on each."""
    import torch

    experiments = law(line, 1.0, 10.0)
    state = state_of(experiments, [(0, 2), (0, 9), (0, 28), (1, 14), (0, 24)])
    model = multifidelity._model(state)
    x = np.concatenate([multifidelity._features(state.problem, s)[[18]] for s in (0, 1)])
    target = multifidelity._features(state.problem, 1)
    found = multifidelity._knowledge_gradient(model, x, target)
    best = multifidelity._posterior(model, target)[0].max()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for i, point in enumerate(x):
            mean, variance = (a.item() for a in multifidelity._posterior(model, point[None]))
            noise = float(model.likelihood.noise.mean())
            draws = rng.normal(mean, np.sqrt(variance + noise), size=60)
            rises = []
            for outcome in draws:
                then = model.condition_on_observations(torch.tensor(point[None]), torch.tensor([[outcome]]))
                rises.append(float(then.posterior(torch.tensor(target)).mean.max()) - best)
            assert found[i] == pytest.approx(np.mean(rises), abs=4 * np.std(rises) / np.sqrt(60) + 0.02)
    assert (found > -1e-6).all()


def test_a_run_on_the_target_is_worth_its_expected_improvement_and_a_cheaper_one_never_more(line: Line) -> None:
    experiments = law(line, 1.0, 10.0)
    state = state_of(experiments, [(0, 2), (0, 9), (0, 28), (1, 14), (0, 24)])
    model = multifidelity._model(state)
    cheap, target = (multifidelity._features(state.problem, s) for s in (0, 1))
    here, there = (multifidelity._correlated_improvement(model, x, target) for x in (target, cheap))
    mean, covariance = multifidelity._posterior(model, target)
    draws = np.random.default_rng(0).normal(mean, np.sqrt(np.diag(covariance)), size=(200_000, len(mean)))
    np.testing.assert_allclose(here, np.maximum(draws - mean.max(), 0).mean(axis=0), atol=0.01)
    assert (there <= here + 1e-9).all()
    assert there.max() > 0


def test_hyperparameters_are_fitted_as_the_runs_grow_by_half(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    fit = multifidelity._fit

    def counted(model: object) -> object:
        fits.append(len(model.train_targets))  # type: ignore[attr-defined]
        return fit(model)  # type: ignore[arg-type]

    monkeypatch.setattr(multifidelity, "_fit", counted)
    play("mf-kg", law(line, 1.0, 20.0), 1)
    assert fits == [5, 8, 12, 18]


def test_without_botorch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"the method mf-kg .*pip install 'autollmresearch\[bench\]'"):
        make_active("mf-kg")
    assert isinstance(make_active("sha"), object)
    with pytest.raises(MissingExtra, match="the method mf-gp"):
        MultiFidelityPolicy(False)
