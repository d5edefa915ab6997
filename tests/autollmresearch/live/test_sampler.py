"""What Optuna's own suites do not ask of a sampler: evidence, seeds, concurrency, resuming, plain values."""

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from autollmresearch.errors import (
    BrokenPolicy,
    EvidenceIgnored,
    InvalidEvidence,
    InvalidFidelity,
    MultiObjectiveStudy,
    UnknownMethod,
)
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.live import AutoLLMSampler
from autollmresearch.methods import make_policy
from autollmresearch.policy import Policy, Proposal, State
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

Params = dict[str, Any]
Loss = Callable[[Params, float], float]
TARGET = {"N": "100M"}
N = 1e8


@dataclass
class Recorder:
    """Another policy, and every state that it was asked for."""

    policy: Policy
    states: list[State] = field(default_factory=list)

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        self.states += states
        return self.policy.propose(states)


@dataclass(frozen=True)
class Says:
    """A policy that always proposes the same."""

    proposal: Proposal

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self.proposal for _ in states]


def _suggest(trial: optuna.Trial) -> Params:
    """What a user's objective asks for; the order is not that of the names."""
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    return {"lr": lr, "batch": trial.suggest_categorical("batch", [16, 32, 64, 128])}


def _run(sampler: AutoLLMSampler, loss: Loss, trials: int = 4, **options: Any) -> optuna.Study:
    """A study of the expensive valley, or of its negative where more is better."""
    study = optuna.create_study(sampler=sampler, **options)
    sign = 1 if study.direction.name == "MINIMIZE" else -1
    study.optimize(lambda trial: sign * loss(_suggest(trial), N), n_trials=trials)
    return study


def _params(study: optuna.Study) -> list[Params]:
    return [t.params for t in study.trials]


def _sampler(evidence: Sequence[Any] = (), **options: Any) -> AutoLLMSampler:
    return AutoLLMSampler(evidence, TARGET, **{"policy": "pooled-gp", "seed": 0} | options)


# Evidence


def test_evidence_moves_the_first_trial(
    cheap: Callable[..., optuna.Study], valley: Loss, valley_space: dict[str, BaseDistribution]
) -> None:
    """The first trial, in both ways of saying what is tuned, is better than what four of five random ones are."""
    evidence = [cheap(1e6, 30), cheap(1e7, 30)]
    chance = sorted(t.value or 0.0 for t in _run(_sampler(), valley, 40).trials)
    for options in ({}, {"space": valley_space}):
        study = _run(_sampler(evidence, **options), valley, 1)
        assert study.trials[0].value < chance[8]
        assert study.trials[0].user_attrs["policy"] == "pooled-gp"
        note = "".join(str(v) for v in study._storage.get_study_system_attrs(study._study_id).values())
        assert "knowing 60 cheaper runs" in note


def test_more_is_better(cheap: Callable[..., optuna.Study], valley: Loss) -> None:
    """A metric and its negative, each optimised in its own direction, are one problem."""
    down = _run(_sampler([cheap(1e6), cheap(1e7)]), valley)
    up = _run(_sampler([cheap(n, direction="maximize") for n in (1e6, 1e7)]), valley, direction="maximize")
    assert _params(up) == _params(down)
    assert [t.value for t in up.trials] == [-(t.value or 0.0) for t in down.trials]


def test_the_policy_gets_the_problem_as_it_is(cheap: Callable[..., optuna.Study], valley: Loss) -> None:
    recorder = Recorder(make_policy("pooled-gp"))
    evidence = [cheap(1e7), cheap(1e6)]
    _run(_sampler(evidence, policy=recorder, budget=3, task="pretraining", metric="loss"), valley, 3)
    for turn, state in enumerate(recorder.states):
        problem = state.problem
        assert len(state.trials) == turn
        assert (problem.task, problem.metric.name, problem.metric.direction) == ("pretraining", "loss", "minimize")
        assert problem.fidelity.values == {"N": 1e8}
        assert [runs.fidelity.values for runs in problem.cheaper] == [{"N": 1e6}, {"N": 1e7}]
        assert problem.budget == 3
        assert set(problem.space.names) == {"lr", "batch"}
    assert recorder.states[1].problem is recorder.states[2].problem  # so that nothing is fitted again


def test_first_trials_take_the_nearest_legal_value_of_the_evidence(cheap: Callable[..., optuna.Study]) -> None:
    """What a trial asks for need not be what the cheap study had: ranges, kinds, and names may differ."""
    sampler = _sampler([cheap(1e6)], policy="copy")
    best = min(cheap(1e6).trials, key=lambda t: t.value or 0.0).params
    trial = optuna.create_study(sampler=sampler).ask()
    low = best["lr"] * 2
    assert trial.suggest_float("lr", low, 1.0) == low
    assert trial.suggest_int("batch", 1, 1024, log=True) == best["batch"]
    assert trial.suggest_categorical("new", ["a", "b"]) in ("a", "b")


def test_evidence_of_any_kind_can_be_mixed(toy_runs: CheapRuns, cheap: Callable[..., optuna.Study]) -> None:
    space = {"lr": FloatDistribution(1e-5, 1e-1, log=True), "batch_size": IntDistribution(1, 512, log=True)}
    recorder = Recorder(make_policy("pooled-gp"))
    trial = optuna.create_study(sampler=_sampler([toy_runs, cheap()], space=space, policy=recorder)).ask(space)
    assert set(trial.params) == set(space)
    assert [runs.space.names for runs in recorder.states[0].problem.cheaper] == [("lr",), ("lr", "batch_size")]


@pytest.fixture
def toy_runs() -> CheapRuns:
    """Runs that came from elsewhere than Optuna."""
    space = Space((Grid("lr", (1e-4, 1e-3, 1e-2), log=True), Grid("batch_size", (8, 64))))
    pool = Pool(space, {"lr": np.array([1e-4, 1e-3, 1e-2]), "batch_size": np.array([8, 64, 8])})
    return CheapRuns(Fidelity({"N": 2e6}, 2e6), pool, np.array([3.0, 2.0, 1.0]), {})


def test_evidence_that_shares_nothing_is_said(cheap: Callable[..., optuna.Study]) -> None:
    space = {"depth": IntDistribution(1, 9)}
    study = optuna.create_study(sampler=_sampler([cheap()], space=space))
    with pytest.warns(EvidenceIgnored, match="1 cheaper study shares no setting with depth"):
        assert study.ask(space).params["depth"] in range(1, 10)


# Seeds and resuming


def test_the_seed_is_honoured(valley: Loss) -> None:
    """By chance, and by a policy that draws at random; what a policy computes need not depend on it."""
    for policy in ("pooled-gp", "random"):
        once, again, other = (_params(_run(_sampler(seed=seed, policy=policy), valley)) for seed in (0, 0, 1))
        assert once == again
        assert once[0] != other[0]
        assert policy == "pooled-gp" or all(a != b for a, b in zip(once, other, strict=True))


def test_without_a_seed_two_samplers_differ(valley: Loss) -> None:
    assert _params(_run(_sampler(seed=None), valley)) != _params(_run(_sampler(seed=None), valley))


def test_reseeding_a_copy_and_a_pickle_change_nothing(cheap: Callable[..., optuna.Study], valley: Loss) -> None:
    sampler = _sampler([cheap()])
    expected = _params(_run(sampler, valley))
    sampler.reseed_rng()
    for other in (sampler, copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):  # noqa: S301  # our own
        assert _params(_run(other, valley)) == expected


_SCRIPT = """
import json, {first}, {second}
import optuna
from autollmresearch.live import AutoLLMSampler
optuna.logging.set_verbosity(optuna.logging.ERROR)
def objective(trial):
    lr, kind = trial.suggest_float("lr", 1e-5, 1e-1, log=True), trial.suggest_categorical("kind", ["a", "b", None])
    return lr + len(str(kind))
cheap = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
cheap.optimize(objective, n_trials=12)
study = optuna.create_study(sampler=AutoLLMSampler([(cheap, {{"N": 1}})], {{"N": 9}}, policy="pooled-gp", seed=7))
study.optimize(objective, n_trials=3)
free = optuna.create_study(sampler=AutoLLMSampler(policy="random", seed=7))
free.optimize(objective, n_trials=3)
print(json.dumps([t.params for t in study.trials + free.trials]))
"""


def test_results_do_not_depend_on_import_order_or_hashes() -> None:
    found = []
    for first, second, hashes in (
        ("autollmresearch.live.sampler", "sklearn.gaussian_process", "1"),
        ("sklearn.gaussian_process", "autollmresearch.live.sampler", "2"),
    ):
        code = _SCRIPT.format(first=first, second=second)
        env = os.environ | {"PYTHONHASHSEED": hashes}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert len(found[0]) == 6


def test_a_resumed_study_gets_the_same_next_proposal(
    tmp_path: Path, opened: Callable[..., RDBStorage], cheap: Callable[..., optuna.Study], valley: Loss
) -> None:
    path = tmp_path / "studies.db"
    study = _run(_sampler([cheap()]), valley, 3, storage=opened(f"sqlite:///{path}"), study_name="s")
    shutil.copy(path, tmp_path / "copy.db")
    going_on = _suggest(study.ask())
    storage = opened(f"sqlite:///{tmp_path / 'copy.db'}")
    resumed = optuna.load_study(study_name="s", storage=storage, sampler=_sampler([cheap()]))
    assert _suggest(resumed.ask()) == going_on


# What else is in the study


def test_failed_trials_are_known(valley: Loss, cheap: Callable[..., optuna.Study]) -> None:
    recorder = Recorder(make_policy("pooled-gp"))
    study = optuna.create_study(sampler=_sampler([cheap()], policy=recorder))

    def objective(trial: optuna.Trial) -> float:
        loss = valley(_suggest(trial), N)
        if trial.number == 0:
            raise RuntimeError("out of memory")
        if trial.number == 1:
            raise optuna.TrialPruned
        return float("nan") if trial.number == 2 else loss

    study.optimize(objective, n_trials=5, catch=RuntimeError)
    assert [t.state.name for t in study.trials] == ["FAIL", "PRUNED", "FAIL", "COMPLETE", "COMPLETE"]
    last = recorder.states[-1]
    assert [outcome.value is None for outcome in last.trials] == [True, True, True, False]
    assert len({json.dumps(params) for params in _params(study)}) == 5  # none is tried again


def test_a_trial_that_is_run_again_is_no_failure(valley: Loss, valley_space: dict[str, BaseDistribution]) -> None:
    """Its worker was lost, not its configuration: Optuna's own way of queueing it again is understood."""
    recorder = Recorder(make_policy("random"))
    study = optuna.create_study(sampler=_sampler(policy=recorder, space=valley_space))
    lost = study.tell(study.ask(valley_space), state=TrialState.FAIL)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        queue_again = RetryHeartbeatStaleTrialCallback(max_retry=2)
    queue_again(study, lost)
    study.ask(valley_space)  # the same configuration
    study.ask(valley_space)
    assert study.trials[1].params == lost.params
    assert [(outcome.message, outcome.config) for outcome in recorder.states[-1].trials] == [("running.", lost.params)]


def test_pruners_that_show_a_sampler_part_of_a_study_work(valley: Loss) -> None:
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    study = optuna.create_study(sampler=_sampler(), pruner=pruner)

    def objective(trial: optuna.Trial) -> float:
        loss = valley(_suggest(trial), N)
        for step in range(9):
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss

    study.optimize(objective, n_trials=12)
    assert {t.state.name for t in study.trials} == {"COMPLETE", "PRUNED"}


def test_running_and_queued_trials_are_not_proposed_again(cheap: Callable[..., optuna.Study]) -> None:
    study = optuna.create_study(sampler=_sampler([cheap()], policy="copy"))
    first = _suggest(study.ask())
    others = [_suggest(study.ask()) for _ in range(5)]
    assert first not in others
    assert len({json.dumps(p, sort_keys=True) for p in others}) == 5

    again = optuna.create_study(sampler=_sampler([cheap()], policy="copy"))
    again.enqueue_trial({"x": 1})  # somebody else's
    again.ask()
    again.enqueue_trial(first)
    waiting = again.ask()
    assert _suggest(again.ask()) != first
    assert _suggest(waiting) == first


def test_many_threads_have_many_configurations(cheap: Callable[..., optuna.Study], valley: Loss) -> None:
    study = optuna.create_study(sampler=_sampler([cheap(trials=40)], policy="copy"))
    study.optimize(lambda trial: valley(_suggest(trial), N), n_trials=12, n_jobs=4)
    assert len({json.dumps(params, sort_keys=True) for params in _params(study)}) == 12


def test_a_small_space_may_be_exhausted() -> None:
    space = {"k": CategoricalDistribution(["a", "b", "c"])}
    study = optuna.create_study(sampler=_sampler(policy="random", space=space))
    for number in range(7):
        study.tell(study.ask(space), number)
    assert {t.params["k"] for t in study.trials[:3]} == {"a", "b", "c"}


def test_trials_of_the_users_own_are_learned_from(valley: Loss, cheap: Callable[..., optuna.Study]) -> None:
    recorder = Recorder(make_policy("pooled-gp"))
    study = optuna.create_study(sampler=_sampler([cheap()], policy=recorder))
    own = {"lr": 0.001234567, "batch": 64}
    study.enqueue_trial(own)
    study.optimize(lambda trial: valley(_suggest(trial), N), n_trials=2)
    state = recorder.states[-1]
    rows, losses = state.told()
    assert state.problem.space.same(state.problem.pool.config(int(rows[0])), own)
    assert losses.tolist() == [valley(own, N)]


# Values


MANY_KINDS: dict[str, BaseDistribution] = {
    "float": FloatDistribution(0, 1),
    "log": FloatDistribution(1e-8, 1e8, log=True),
    "step": FloatDistribution(0, 1, step=0.25),
    "int": IntDistribution(1, 9),
    "log int": IntDistribution(1, 10**6, log=True),
    "int step": IntDistribution(0, 12, step=3),
    "words": CategoricalDistribution(["a", "b"]),
    "truths": CategoricalDistribution([True, False]),
    "numbers": CategoricalDistribution([16, 32, 64]),
    "floats": CategoricalDistribution([0.0, 0.1]),
    "mixed": CategoricalDistribution([None, True, 2, 2.5, "2"]),
    "single": FloatDistribution(3.0, 3.0),
}


@pytest.mark.parametrize("given", [True, False], ids=["space", "no-space"])
def test_values_are_plain_python_scalars(given: bool) -> None:
    """From the relative, the independent and the evidence's way alike; and policies are asked, not chance alone."""
    space = MANY_KINDS if given else None
    cheap = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(8):
        cheap.tell(cheap.ask(MANY_KINDS), number)
    study = optuna.create_study(sampler=_sampler([(cheap, {"N": 1})], space=space))
    for number in range(3):
        study.tell(study.ask(MANY_KINDS), number)
    for trial in study.trials:
        assert trial.user_attrs["policy"] == "pooled-gp"
        for name, value in json.loads(json.dumps(trial.params)).items():
            assert type(trial.params[name]) is type(value)
            assert type(value) in (bool, int, float, str, type(None))
            assert MANY_KINDS[name]._contains(MANY_KINDS[name].to_internal_repr(value))
        for value in trial.user_attrs.values():
            assert type(value) in (int, float, str)


def test_a_space_of_the_gym_is_used_as_it_is() -> None:
    """Grids and mixtures too, in the terms of `Space.to_optuna`."""
    space = Space(
        (
            Grid("lr", (1e-4, 1e-3, 1e-2), log=True),
            Integer("layers", 2, 8),
            Real("decay", 0.0, 0.1),
            Categorical("norm", ("rms", "layer")),
            Simplex("data", ("web", "code", "books")),
        )
    )
    distributions = space.to_optuna()
    recorder = Recorder(make_policy("random"))
    study = optuna.create_study(sampler=_sampler(space=space, policy=recorder))
    trial = study.ask(distributions)
    assert recorder.states[0].problem.space == space
    config = space.check(space.from_optuna(trial.params))
    pool = recorder.states[0].problem.pool
    assert any(space.same(config, pool.config(row)) for row in range(len(pool)))
    study.tell(trial, 1.0)
    study.ask(distributions)
    assert space.same(recorder.states[1].trials[0].config or {}, config)


def test_parts_of_a_mixture_that_are_fixed_leave_the_rest(valley: Loss) -> None:
    space = Space((Simplex("data", ("web", "code")), Real("lr", 0.0, 1.0)))
    study = optuna.create_study(sampler=_sampler(space=space))
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.sampler = optuna.samplers.PartialFixedSampler({"data.web": 0.5}, study.sampler)
    assert study.ask(space.to_optuna()).params["data.web"] == 0.5


def test_a_step_finer_than_a_grid_can_be_is_kept() -> None:
    space: dict[str, BaseDistribution] = {
        "x": FloatDistribution(0, 1, step=1e-4),
        "k": IntDistribution(0, 7 * 10**4, step=7),
    }
    study = optuna.create_study(sampler=_sampler(space=space))
    for number in range(5):
        study.tell(study.ask(space), number)
    assert {t.user_attrs["policy"] for t in study.trials} == {"pooled-gp"}


# What a policy may say


@pytest.mark.parametrize("words", ["I do not know.", '<config>{"lr": 1}</config>', '{"lr": "high", "batch": 16}'])
def test_words_without_a_configuration_are_answered_by_chance(
    words: str, valley: Loss, valley_space: dict[str, BaseDistribution]
) -> None:
    sampler = _sampler(policy=Says(Proposal(words, "I thought about it.")), space=valley_space)
    study = _run(sampler, valley, 1)
    reasoning = study.trials[0].user_attrs["reasoning"]
    assert reasoning.startswith("I thought about it.")
    assert "drawn at random: what was proposed is no configuration" in reasoning


def test_a_repeated_proposal_moves_to_the_nearest_other_candidate(
    valley: Loss, valley_space: dict[str, BaseDistribution]
) -> None:
    text = 'I like it. <config>{"lr": 1e-3, "batch": 32}</config>'
    study = _run(_sampler(policy=Says(Proposal(text, "liked", mean=2.0, sd=0.5)), space=valley_space), valley, 3)
    assert len({json.dumps(params) for params in _params(study)}) == 3
    assert {t.params["batch"] for t in study.trials} == {32}
    assert all(0.9e-3 < t.params["lr"] < 1.1e-3 for t in study.trials)
    assert study.trials[0].user_attrs["expected"] == 2.0
    assert study.trials[0].user_attrs["expected_sd"] == 0.5
    assert "expected" not in study.trials[1].user_attrs  # it was expected of another configuration


def test_every_trial_says_why(valley: Loss) -> None:
    study = _run(_sampler(), valley, 2)
    assert study.trials[0].user_attrs["reasoning"] == "Drawn at random: no search space is known yet."
    assert [t.user_attrs["policy"] for t in study.trials] == ["random", "pooled-gp"]


# Errors


def test_two_objectives_are_refused_in_one_line() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=_sampler())
    with pytest.raises(MultiObjectiveStudy, match=r"has 2 objectives; AutoLLMSampler optimises one.*multi-objective"):
        study.ask().suggest_float("x", 0, 1)


def test_evidence_of_the_other_direction_is_refused(cheap: Callable[..., optuna.Study]) -> None:
    study = optuna.create_study(sampler=_sampler([cheap(direction="maximize")]), study_name="big")
    with pytest.raises(InvalidEvidence, match=r"'cheap-1e.06' is to maximize and study 'big' to minimize"):
        _suggest(study.ask())


def test_the_fidelity_is_the_studys_own_or_must_be_said(cheap: Callable[..., optuna.Study]) -> None:
    recorder = Recorder(make_policy("pooled-gp"))
    study = optuna.create_study(sampler=AutoLLMSampler([cheap()], policy=recorder, seed=0), study_name="big")
    with pytest.raises(InvalidFidelity, match="'big' does not say at which fidelity it runs"):
        _suggest(study.ask())
    study.set_user_attr("fidelity", {"N": "1B", "tokens": 2e10})
    _suggest(study.ask())
    assert recorder.states[0].problem.fidelity.cost == pytest.approx(1.2e20)


def test_one_sampler_serves_studies_of_several_fidelities(
    cheap: Callable[..., optuna.Study], valley_space: dict[str, BaseDistribution]
) -> None:
    recorder = Recorder(make_policy("pooled-gp"))
    sampler = AutoLLMSampler([cheap()], policy=recorder, space=valley_space, seed=0)
    for size in (1e7, 1e8, 1e7):
        study = optuna.create_study(sampler=sampler)
        study.set_user_attr("fidelity", {"N": size})
        study.ask(valley_space)
    assert [state.problem.fidelity.values["N"] for state in recorder.states] == [1e7, 1e8, 1e7]
    assert recorder.states[0].problem is recorder.states[2].problem


@pytest.mark.parametrize("answer", [[], ["lr=1e-3"], [Proposal({}), Proposal({})]])
def test_a_broken_policy_is_named(answer: list[Any], valley_space: dict[str, BaseDistribution]) -> None:
    class Broken:
        def propose(self, states: Sequence[State]) -> list[Proposal]:
            return answer

    study = optuna.create_study(sampler=_sampler(policy=Broken(), space=valley_space))
    with pytest.raises(BrokenPolicy, match=r"^Broken returned .* for one state; expected one Proposal$"):
        study.ask(valley_space)


def test_the_package_imports_without_optuna() -> None:
    """Commands that do not need it start at once; a name it does not have is an ordinary error."""
    code = "import autollmresearch.live as l, sys; assert 'optuna' not in sys.modules; l.AutoLLMSampler; l.nothing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.endswith("AttributeError: module 'autollmresearch.live' has no attribute 'nothing'\n")


def test_by_default_the_shipped_agent_proposes(
    cheap: Callable[..., optuna.Study], shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autollmresearch.policies.score.MOST", 20)
    study = optuna.create_study(sampler=AutoLLMSampler([cheap()], TARGET, seed=0))
    _suggest(study.ask())
    said = study.trials[0].user_attrs
    assert said["policy"] == "researcher-mini"
    assert {"reasoning", "trends", "expected", "expected_sd"} <= said.keys()
    monkeypatch.setattr("autollmresearch.policies.agent.find_spec", lambda name: None)
    study = optuna.create_study(sampler=AutoLLMSampler([cheap()], TARGET, seed=0))
    _suggest(study.ask())
    assert study.trials[0].user_attrs["policy"] == "analyst"


def test_an_unknown_policy_is_refused_at_once() -> None:
    with pytest.raises(UnknownMethod):
        AutoLLMSampler(policy="pooled-gpt")
