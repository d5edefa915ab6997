"""Rows: evidence as arrays."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from autollmresearch.evidence.analyst import fit
from autollmresearch.evidence.explain import rests_on
from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.evidence.rows import gather, scale
from llmconfig_gym.experiment import Experiment, Fidelity, Outcome


def test_a_subset_keeps_the_best_prefers_the_near_and_never_exceeds_the_limit(
    law: Callable[..., Experiment], known: Callable[..., Problem]
) -> None:
    near, far = law(5e7, 1e9), law(1e6, 1e8)
    problem = known(law(1e8), [far, near])
    rows = gather(problem, (), 40)
    assert 30 <= len(rows) <= 40
    assert rows.known == 2 * len(near.pool)
    counts = np.bincount(rows.experiment)
    assert counts[1] > counts[0] > 0
    for i, e in enumerate((far, near)):
        assert rows.losses[rows.experiment == i].min() == e.losses.min()
        assert np.median(rows.losses[rows.experiment == i]) < np.median(e.losses)


def test_where_every_run_has_a_fidelity_of_its_own_the_nearest_are_kept(
    law: Callable[..., Experiment], known: Callable[..., Problem]
) -> None:
    e = law(5e7)
    runs = CheapRuns.drawn([(e, np.array([0]))])[0]
    scales = np.geomspace(1e6, 9e7, 50)
    problem = known(law(1e8), [])
    cheaper = tuple(replace(runs, fidelity=Fidelity({"parameters": n, "tokens": 2e9}, n)) for n in scales)
    rows = gather(replace(problem, cheaper=cheaper), (), 20)
    assert [f.values["parameters"] for f in rows.fidelities[:-1]] == scales[-20:].tolist()
    assert np.isfinite(fit(replace(problem, cheaper=cheaper)).samples).all()


def test_fewer_runs_than_the_limit_are_all_kept_in_order(
    law: Callable[..., Experiment], known: Callable[..., Problem]
) -> None:
    e = law(5e7)
    rows = gather(known(law(1e8), [e]), (), 10_000)
    np.testing.assert_array_equal(rows.encoded, e.pool.encoded)
    np.testing.assert_array_equal(rows.losses, np.minimum(e.losses, 1.25 * e.losses.min()))


def test_told_outcomes_come_last_and_refusals_do_not_count(
    law: Callable[..., Experiment], known: Callable[..., Problem]
) -> None:
    target, e = law(1e8), law(5e7)
    trials = [target.outcome(4), Outcome("invalid", message="no"), Outcome("measured", target.pool.config(9))]
    rows = gather(known(target, [e], 6), trials, 100)
    assert rows.told.tolist() == [4, 9]
    assert rows.experiment[-2:].tolist() == [rows.target] * 2
    assert rows.losses[-2] == target.losses[4]
    assert rows.diverged[-1]
    assert rows.losses[-1] >= rows.losses[-2]


def test_blow_ups_are_pulled_in_with_and_without_a_bound_of_the_problem(
    line: Callable[..., Experiment], known: Callable[..., Problem]
) -> None:
    values = [1.0, 1.1, 1.2, 1.3, 1e6]
    for clip in (None, 1.5):
        rows = gather(known(line(values, clip=clip), [line(values, clip=clip, cost=0.1)]), (), 100)
        assert rows.diverged.tolist() == [False] * 4 + [True]
        assert rows.losses.max() < 5


def test_octaves_are_counted_from_the_target_for_what_differs_in_all() -> None:
    small = Fidelity({"parameters": 1e6, "tokens": 5.0, "data": "a", "warmup": 0.0}, 1.0)
    large = Fidelity({"parameters": 8e6, "tokens": 5.0, "data": "b", "warmup": 1.0}, 16.0)
    names, z = scale([small, large])
    assert names == ("parameters",)
    np.testing.assert_allclose(z, [[-3.0], [0.0]])
    names, z = scale([Fidelity({"size": "s"}, 1.0), Fidelity({"size": "l"}, 16.0)])
    assert names == ("cost",)
    np.testing.assert_allclose(z, [[-4.0], [0.0]])
    assert scale([large, large])[1].shape == (2, 0)


def test_of_many_trials_the_good_ones_are_fitted_and_none_is_proposed_again(
    law: Callable[..., Experiment], known: Callable[..., Problem]
) -> None:
    target = law(1e8)
    problem = known(target, [law(5e7)])
    trials = [target.outcome(row) for row in range(60)]
    rows = gather(problem, trials, 40)
    assert rows.tried.tolist() == list(range(60))
    assert 30 <= len(rows.told) <= 40
    np.testing.assert_array_equal(
        rows.losses[-len(rows.told) :], np.minimum(target.losses[rows.told], rows.losses.max())
    )
    assert rows.losses[rows.experiment == rows.target].min() == target.losses[:60].min()
    assert gather(problem, trials, 60).told.tolist() == list(range(60))
    assert "60 on the target (fitted to" in rests_on(problem, rows)
