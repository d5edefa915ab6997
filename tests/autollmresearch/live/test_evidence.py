"""Cheaper studies as a policy sees them, whatever kind they came in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from autollmresearch.errors import EvidenceIgnored, InvalidEvidence
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.live.distributions import SearchSpace
from autollmresearch.live.evidence import CheapStudy, read_evidence
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space


def _in(evidence: CheapStudy, distributions: dict[str, BaseDistribution], space: Space | None = None) -> CheapRuns:
    target = SearchSpace.of(distributions, space)
    assert target is not None
    runs = evidence.in_space(target)
    assert runs is not None
    return runs


def _study(distributions: dict[str, BaseDistribution], rows: list[tuple[dict[str, Any], Any]]) -> optuna.Study:
    study = optuna.create_study(study_name="small")
    for params, value in rows:
        state = value if isinstance(value, TrialState) else TrialState.COMPLETE
        trial = optuna.create_trial(
            params=params,
            distributions={n: distributions[n] for n in params},
            value=value if state == TrialState.COMPLETE else None,
            state=state,
        )
        study.add_trial(trial)
    return study


def test_a_study_with_its_fidelity_becomes_cheap_runs(
    cheap: Callable[..., optuna.Study], valley_space: dict[str, BaseDistribution]
) -> None:
    study = cheap(1e6)
    runs = _in(read_evidence([study])[0], valley_space)
    assert runs.fidelity == Fidelity({"N": 1_000_000}, 1e6, "relative cost")
    assert runs.losses.tolist() == [t.value for t in study.trials]
    assert [runs.pool.config(i) for i in range(len(runs.pool))] == [t.params for t in study.trials]


def test_evidence_is_ordered_by_cost_and_a_pair_overrides_the_attribute(cheap: Callable[..., optuna.Study]) -> None:
    evidence = read_evidence([cheap(1e8), (cheap(1e6), {"N": 1e9}), cheap(1e7)])
    assert [e.fidelity.cost for e in evidence] == [1e7, 1e8, 1e9]


def test_more_is_better_turns_into_losses(
    cheap: Callable[..., optuna.Study], valley_space: dict[str, BaseDistribution]
) -> None:
    up = _in(read_evidence([cheap(1e6, direction="maximize")])[0], valley_space)
    down = _in(read_evidence([cheap(1e6)])[0], valley_space)
    assert up.losses == pytest.approx(down.losses)


def test_failed_and_pruned_trials_carry_the_worst_loss() -> None:
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
    rows = [({"x": 0.1}, 1.0), ({"x": 0.2}, TrialState.FAIL), ({"x": 0.3}, 4.0), ({"x": 0.4}, float("inf"))]
    study = _study(space, [*rows, ({"x": 0.5}, TrialState.PRUNED), ({"x": 0.6}, TrialState.WAITING)])
    runs = _in(read_evidence([(study, {"N": 1})])[0], space)
    assert runs.losses.tolist() == [1.0, 4.0, 4.0, 4.0, 4.0]


def test_other_ranges_kinds_and_settings_of_the_target() -> None:
    """Values keep what they are; what only one side has is left out, and a run without a counterpart too."""
    cheaper: dict[str, BaseDistribution] = {
        "lr": FloatDistribution(1e-4, 1.0, log=True),
        "batch": CategoricalDistribution([8, 16, 32]),
        "norm": CategoricalDistribution(["rms", "layer", "none"]),
        "gone": IntDistribution(0, 9),
    }
    rows = [
        ({"lr": 0.5, "batch": 8, "norm": "rms", "gone": 1}, 1.0),
        ({"lr": 0.01, "batch": 32, "norm": "none", "gone": 2}, 2.0),
        ({"lr": 0.02, "batch": 16, "norm": "layer", "gone": 3}, 3.0),
    ]
    target: dict[str, BaseDistribution] = {
        "lr": FloatDistribution(1e-5, 1e-1, log=True),
        "batch": IntDistribution(16, 256, log=True),
        "norm": CategoricalDistribution(["layer", "rms"]),
        "new": FloatDistribution(0, 1),
    }
    runs = _in(read_evidence([(_study(cheaper, rows), {"N": 1})])[0], target)
    assert runs.space.names == ("lr", "batch", "norm")
    assert [runs.pool.config(i) for i in range(len(runs.pool))] == [
        {"lr": 0.5, "batch": 8, "norm": "rms"},
        {"lr": 0.02, "batch": 16, "norm": "layer"},
    ]
    space = SearchSpace.of(target)
    assert space is not None
    encoded = runs.encoded_in(space.space)
    assert encoded.shape == (2, space.space.width)
    assert encoded[0, 0] > 1  # beyond the target's range, where it was measured


def test_a_setting_of_another_kind_does_not_take_the_others_with_it() -> None:
    cheaper: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    study = _study(cheaper, [({"x": 0.5, "y": 0.25}, 1.0)])
    target = {"x": CategoricalDistribution(["a", "b"]), "y": FloatDistribution(0, 1)}
    runs = _in(read_evidence([(study, {"N": 1})])[0], target)
    assert runs.space.names == ("y",)


def test_a_study_made_from_the_same_space_is_read_through_it() -> None:
    space = Space((Grid("lr", (1e-4, 1e-3, 1e-2), log=True), Simplex("data", ("web", "code"))))
    config = {"lr": 1e-2, "data": {"web": 0.75, "code": 0.25}}
    distributions = space.to_optuna()
    study = _study(distributions, [(space.optuna_params(config), 1.0)])
    runs = _in(read_evidence([(study, {"N": 1})])[0], distributions, space)
    assert space.same(runs.pool.config(0), config)


def test_cheap_runs_pass_as_they_are_where_every_value_has_a_place() -> None:
    space = Space((Real("lr", 1e-4, 1e-1, log=True), Integer("layers", 2, 6, relative=True)))
    pool = Pool(space, {"lr": np.array([1e-3, 1e-2]), "layers": np.array([2, 6])})
    runs = CheapRuns(Fidelity({"N": 1.0}, 1.0), pool, np.array([2.0, 1.0]), {})
    wider = Space((Real("lr", 1e-5, 1e-1, log=True), Integer("layers", 4, 24, relative=True)))
    assert _in(read_evidence([runs])[0], wider.to_optuna(), wider) is runs


def test_cheap_runs_with_a_choice_that_the_target_lacks_lose_only_those_rows() -> None:
    space = Space((Real("lr", 1e-4, 1e-1), Categorical("norm", ("rms", "layer"))))
    pool = Pool(space, {"lr": np.array([1e-3, 1e-2, 2e-2]), "norm": np.array(["rms", "layer", "rms"])})
    runs = CheapRuns(Fidelity({"N": 1.0}, 1.0), pool, np.array([2.0, 1.0, 3.0]), {})
    target = {"lr": FloatDistribution(1e-4, 1e-1), "norm": CategoricalDistribution(["rms", "none"])}
    found = _in(read_evidence([runs])[0], target)
    assert found.losses.tolist() == [2.0, 3.0]
    assert found.pool.columns["lr"].tolist() == [1e-3, 2e-2]


def test_evidence_that_shares_no_setting_says_nothing(cheap: Callable[..., optuna.Study]) -> None:
    target = SearchSpace.of({"other": FloatDistribution(0, 1)})
    assert target is not None
    assert read_evidence([cheap()])[0].in_space(target) is None


def test_evidence_without_a_value_is_left_out_with_a_warning() -> None:
    study = _study({"x": FloatDistribution(0, 1)}, [({"x": 0.5}, TrialState.FAIL)])
    with pytest.warns(EvidenceIgnored, match="study 'small' has no finished run with a value"):
        assert read_evidence([(study, {"N": 1})]) == ()


def test_what_is_no_evidence_is_refused(cheap: Callable[..., optuna.Study]) -> None:
    nameless = optuna.create_study(study_name="nameless")
    with pytest.raises(InvalidEvidence, match="'nameless' does not say at which fidelity"):
        read_evidence([nameless])
    with pytest.raises(InvalidEvidence, match="found a str"):
        read_evidence(["runs.csv"])  # type: ignore[list-item]  # what a user may try
    double = optuna.create_study(directions=["minimize", "minimize"])
    with pytest.raises(InvalidEvidence, match="several objectives"):
        read_evidence([(double, {"N": 1})])
