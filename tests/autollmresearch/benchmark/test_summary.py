"""Summary: the numbers of a report, from the rows alone."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from autollmresearch.benchmark.metrics import bootstrap_interval
from autollmresearch.benchmark.summary import Group, method_order, summarize
from llmconfig_gym.cli.common import print_json

Frame = Callable[..., pd.DataFrame]

GOOD = np.array([[[0.4, 0.0], [0.2, 0.1]], [[0.6, 0.2], [0.0, 0.0]]])
"""Two experiments, two seeds, two trials."""
BAD = np.array([[[0.4, 0.4], [0.8, 0.4]], [[0.6, 0.2], [1.0, 0.6]]])


def only(frame: pd.DataFrame) -> Group:
    (group,) = summarize(frame)
    return group


def test_means_intervals_ranks_and_differences_are_those_computed_by_hand(frame_of: Frame) -> None:
    group = only(frame_of({"copy": BAD, "tpe": GOOD}))
    assert (group.suite, group.task, group.protocol) == ("made", "other", "full")
    assert (group.experiments, group.seeds, group.budget) == (("made/e0", "made/e1"), 2, 2)
    tpe, copy = group.methods
    assert (tpe.method, copy.method) == ("tpe", "copy")
    assert tpe.regret.tolist() == pytest.approx([0.3, 0.075])
    assert copy.regret.tolist() == pytest.approx([0.7, 0.4])
    assert tpe.unclipped.tolist() == pytest.approx([0.15, 0.0375])
    assert tpe.median_regret.tolist() == pytest.approx([0.6, 0.15])
    assert tpe.excess_percent.tolist() == pytest.approx([30, 7.5])
    assert tpe.cumulative.tolist() == pytest.approx([0.3, 0.375])
    assert tpe.within_noise.tolist() == [0.25, 0.5]
    assert tpe.rank.tolist() == [(1.5 + 1 + 1.5 + 1) / 4, (1 + 1 + 1.5 + 1) / 4]
    assert copy.rank.tolist() == [(1.5 + 2 + 1.5 + 2) / 4, (2 + 2 + 1.5 + 2) / 4]
    assert tpe.seconds == 0.5
    for t in range(2):
        assert (copy.low[t], copy.high[t]) == bootstrap_interval(BAD[..., t])
    assert tpe.behind == (0.0, 0.0, 0.0)
    difference = (BAD - GOOD)[..., -1]
    assert copy.behind == (pytest.approx(0.325), *bootstrap_interval(difference))


def _refused(frame: pd.DataFrame, method: str, reason: str) -> pd.DataFrame:
    """The rows with this method's of the second experiment as they are where it cannot serve it."""
    mine = (frame["method"] == method) & (frame["experiment"] == "made/e1")
    columns = ["value", "simple_regret", "simple_regret_unclipped", "median_regret", "cumulative_regret"]
    frame.loc[mine, columns] = np.nan
    frame.loc[mine, "outcome"] = "not applicable"
    frame.loc[mine, "config"] = reason
    return frame


def test_a_method_that_cannot_serve_an_experiment_is_named_with_the_reason_and_counts_for_nothing(
    frame_of: Frame,
) -> None:
    group = only(_refused(frame_of({"copy": BAD, "tpe": GOOD, "law": GOOD / 2}), "law", "no batch size"))
    assert group.missing == (("law", "no batch size"),)
    alone = only(frame_of({"copy": BAD, "tpe": GOOD}))
    assert [m.method for m in group.methods] == ["tpe", "copy"]
    assert group.to_dict() == alone.to_dict() | {"missing": group.missing}


def test_a_group_without_any_method_that_can_serve_it_is_a_group_still(frame_of: Frame) -> None:
    group = only(_refused(frame_of({"law": GOOD}), "law", "no batch size"))
    assert (group.methods, group.missing) == ((), (("law", "no batch size"),))
    assert (group.seeds, group.budget, group.experiments) == (2, 2, ("made/e0", "made/e1"))


def test_nobody_is_behind_the_oracle(frame_of: Frame) -> None:
    methods = {m.method: m for m in only(frame_of({"copy": BAD, "tpe": GOOD, "oracle": GOOD / 2})).methods}
    assert methods["tpe"].behind == (0.0, 0.0, 0.0)
    assert methods["oracle"].behind[0] == pytest.approx(-0.0375)


def test_the_order_of_the_rows_does_not_matter(frame_of: Frame) -> None:
    frame = frame_of({"copy": BAD, "tpe": GOOD})
    shuffled = frame.sample(frac=1, random_state=np.random.RandomState(0))
    a, b = only(frame), only(shuffled)
    for x, y in zip(a.methods, b.methods, strict=True):
        assert x.method == y.method
        assert x.behind == y.behind
        for name in ("regret", "low", "high", "rank", "within_noise", "cumulative"):
            np.testing.assert_array_equal(getattr(x, name), getattr(y, name))


def test_the_best_method_is_that_with_the_least_mean_at_the_last_trial(frame_of: Frame) -> None:
    early, late = np.array([[[0.0, 0.2]]]), np.array([[[0.9, 0.1]]])
    group = only(frame_of({"copy": early, "random": late}))
    assert {m.method: m.behind[0] for m in group.methods} == {"random": 0.0, "copy": pytest.approx(0.1)}


def test_suites_tasks_and_protocols_are_told_apart(frame_of: Frame) -> None:
    frame = pd.concat(
        [
            frame_of({"copy": GOOD}),
            frame_of({"copy": BAD}, protocol="metered:5"),
            frame_of({"copy": BAD, "random": GOOD}, task="mixture"),
            frame_of({"copy": GOOD[:1]}, suite="other"),
        ],
        ignore_index=True,
    )
    groups = list(summarize(frame))
    assert [g.title for g in groups] == [
        "made (other), protocol full",
        "made (other), protocol metered:5",
        "made (mixture), protocol full",
        "other (other), protocol full",
    ]
    assert [len(g.methods) for g in groups] == [1, 1, 2, 1]
    assert [g.methods[-1].regret[-1] for g in groups] == pytest.approx([0.075, 0.4, 0.4, 0.05])


def test_what_is_unknown_in_some_cases_is_averaged_over_the_others(frame_of: Frame) -> None:
    frame = frame_of({"copy": GOOD})
    unknown = frame["experiment"] == "made/e0"
    frame.loc[unknown, "within_noise"] = pd.NA
    frame.loc[unknown, "excess_percent"] = np.nan
    copy = only(frame).methods[0]
    assert copy.within_noise.tolist() == [0.5, 0.5]
    assert copy.excess_percent.tolist() == pytest.approx([30, 10])
    frame["within_noise"] = frame["within_noise"].mask(frame["within_noise"].notna())
    assert np.isnan(only(frame).methods[0].within_noise).all()


def test_methods_stand_in_the_same_order_everywhere() -> None:
    names = ["zoo", "pooled-gp", "agent:x=2", "copy", "gp", "random", "tpe:startup=3"]
    assert method_order(names) == ["random", "tpe:startup=3", "gp", "copy", "pooled-gp", "agent:x=2", "zoo"]


@pytest.mark.parametrize(
    ("budget", "shown"),
    [(1, [1]), (2, [1, 2]), (3, [1, 3]), (7, [1, 3, 5, 7]), (10, [1, 3, 5, 10]), (20, [1, 3, 5, 10, 20])],
)
def test_the_budgets_shown_are_the_usual_ones_and_the_last(frame_of: Frame, budget: int, shown: list[int]) -> None:
    assert only(frame_of({"copy": np.zeros((1, 1, budget))})).shown == shown


def test_a_group_is_json_data(frame_of: Frame, capsys: pytest.CaptureFixture[str]) -> None:
    frame = frame_of({"copy": BAD, "tpe": GOOD}, within_noise=pd.NA)
    print_json(only(frame).to_dict())
    data = json.loads(capsys.readouterr().out)
    assert list(data) == ["suite", "task", "protocol", "experiments", "seeds", "budget", "methods", "missing"]
    tpe, copy = data["methods"]
    assert (tpe["method"], copy["method"]) == ("tpe", "copy")
    assert copy["regret"] == pytest.approx([0.7, 0.4])
    assert copy["within_noise"] == [None, None]
    assert tpe["behind"] == [0, 0, 0]
