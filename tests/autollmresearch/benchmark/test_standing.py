"""Standing: ranks, wins and differences over all experiments, and a test of whether they mean anything."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from autollmresearch.benchmark.standing import standings

Frame = Callable[..., pd.DataFrame]
RNG = np.random.default_rng(0)
NOISE = RNG.uniform(0, 0.01, (12, 6, 2))
"""[experiments, seeds, trials]"""


def test_places_are_by_rank_with_wins_ties_and_losses_against_the_first(frame_of: Frame) -> None:
    good, same, bad = np.full((12, 6, 2), 0.1), np.full((12, 6, 2), 0.1), np.full((12, 6, 2), 0.3)
    bad[0] = 0.05  # it wins one
    (standing,) = standings(frame_of({"copy": bad, "random": good, "tpe": same}))
    assert [(p.method, p.won, p.tied, p.lost) for p in standing.places] == [
        ("random", 0, 12, 0),
        ("tpe", 0, 12, 0),
        ("copy", 1, 0, 11),
    ]
    assert [p.rank for p in standing.places] == pytest.approx([(11 * 1.5 + 2.5) / 12] * 2 + [(11 * 3 + 1) / 12])
    copy = standing.places[-1]
    assert copy.behind[0] == pytest.approx((11 * 0.2 - 0.05) / 12)
    assert copy.behind[1] < copy.behind[0] < copy.behind[2]
    assert copy.regret == pytest.approx((11 * 0.3 + 0.05) / 12)
    assert (standing.protocol, standing.experiments, standing.missing) == ("full", 12, ())


def test_a_difference_within_the_noise_of_seeds_is_a_tie(frame_of: Frame) -> None:
    noisy = 0.2 + np.where(np.arange(6) % 2 == 0, 0.1, -0.1)[None, :, None] + NOISE
    (standing,) = standings(frame_of({"a": np.full((12, 6, 2), 0.2), "b": noisy}))
    (other,) = (p for p in standing.places if (p.won, p.tied, p.lost) != (0, 12, 0) or p.behind[0] != 0)
    assert other.tied == 12


def test_methods_alike_cannot_be_told_apart_and_others_can(frame_of: Frame) -> None:
    turns = 0.2 + 0.01 * (np.arange(12) % 3)[:, None, None] * np.ones((12, 2, 2))
    alike = {name: 0.2 + (turns + 0.01 * i - 0.2) % 0.03 for i, name in enumerate("abc")}  # each wins a third
    (standing,) = standings(frame_of(alike))
    assert standing.chance > 0.9
    assert max(p.rank for p in standing.places) - min(p.rank for p in standing.places) < standing.critical
    (standing,) = standings(frame_of({**alike, "c": 0.5 + NOISE[:, :2]}))
    assert standing.chance < 0.001
    # Demsar 2006, table 5: q = 2.343 for three methods at 5 %.
    assert standing.critical == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 12)), rel=1e-3)
    (standing,) = standings(frame_of({"a": NOISE, "b": NOISE}))
    assert np.isnan(standing.critical), "two methods have no such test"
    (standing,) = standings(frame_of({"a": NOISE, "b": NOISE, "c": NOISE}))
    assert standing.chance == 1


def test_groups_weigh_the_same_and_protocols_stand_apart(frame_of: Frame) -> None:
    large = frame_of({"a": np.full((9, 2, 1), 0.1), "b": np.full((9, 2, 1), 0.2)})
    small = frame_of({"a": np.full((1, 2, 1), 0.9), "b": np.full((1, 2, 1), 0.2)}, suite="small")
    metered = frame_of({"a": np.full((2, 2, 1), 0.3)}, protocol="metered:5")
    full, other = standings(pd.concat([large, small.assign(experiment="small/e0"), metered]))
    assert (full.protocol, other.protocol) == ("full", "metered:5")
    assert {p.method: p.regret for p in full.places} == pytest.approx({"a": 0.5, "b": 0.2})
    assert {p.method: p.rank for p in full.places} == pytest.approx({"a": 1.1, "b": 1.9})


def test_who_did_not_serve_everything_has_no_place_and_the_oracle_neither(frame_of: Frame) -> None:
    frame = frame_of({"copy": NOISE, "random": NOISE, "oracle": NOISE * 0})
    part = frame_of({"tpe": NOISE[:4]})
    refused = frame_of({"gp": NOISE}).assign(cumulative_regret=np.nan, outcome="not applicable")
    (standing,) = standings(pd.concat([frame, part, refused]))
    assert [p.method for p in standing.places] == ["random", "copy"]
    assert standing.missing == ("tpe", "gp")
