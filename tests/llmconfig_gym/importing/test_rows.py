"""Which rows can be used."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.experiment import Direction
from llmconfig_gym.importing.columns import read_columns
from llmconfig_gym.importing.read import BadRow, Table
from llmconfig_gym.importing.roles import Cost, Roles
from llmconfig_gym.importing.rows import Checked, check_rows, listed


def check(
    direction: Direction = "minimize",
    details: tuple[str, ...] = (),
    simplex: tuple[str, ...] = (),
    torn: tuple[BadRow, ...] = (),
    **data: list[object],
) -> Checked:
    frame = pd.DataFrame(data, dtype=object)
    frame.index = pd.RangeIndex(10, 10 + len(frame))
    table = Table(Path("t.csv"), frame, "line", torn)
    roles = Roles(
        parameters=("lr",) if "lr" in data else (),
        simplex={"w": simplex} if simplex else {},
        fidelity=("N",) if "N" in data else (),
        metric="loss",
        direction=direction,
        details=details,
        ignored=(),
        task="pretraining",
        log=(),
        categorical=(),
        cost=Cost("one", (), "relative cost"),
        state="state" if "state" in data else None,
    )
    return check_rows(table, read_columns(table), roles)


def test_every_reason_is_given_with_its_line() -> None:
    checked = check(
        lr=[0.1, "auto", None, "inf", 0.2, 0.3, 0.4],
        N=[1, 1, "", 1, "big", 1, 1],
        loss=[1, 2, 3, 4, 5, "oom", "nan"],
        torn=(BadRow(3, "torn"),),
    )
    assert checked.good.tolist() == [0]
    assert checked.bad == (
        BadRow(3, "torn"),
        BadRow(11, "lr is 'auto', not a number"),
        BadRow(12, "N is missing; lr is missing"),
        BadRow(13, "lr is infinite or too large: 'inf'"),
        BadRow(14, "N is 'big', not a number"),
        BadRow(15, "the metric loss is 'oom', not a number"),
        BadRow(16, "the metric loss is NaN"),
    )


@pytest.mark.parametrize(
    ("direction", "diverged", "absurd"), [("minimize", "inf", "-inf"), ("maximize", "-inf", "inf")]
)
def test_a_diverged_run_is_kept_and_an_absurd_one_is_not(direction: Direction, diverged: str, absurd: str) -> None:
    checked = check(direction, lr=[1, 2, 3], loss=[1, diverged, absurd])
    assert checked.good.tolist() == [0, 1]
    assert checked.values[1] == float(diverged)
    assert "better than any run can be" in checked.bad[0].why


def test_the_state_of_a_run() -> None:
    checked = check(
        lr=[1, 2, 3, 4, 5, 6],
        loss=[1, "", "", 2, 3, 4],
        state=["finished", "Diverged", "crashed", "RUNNING", "failed", ""],
    )
    assert checked.good.tolist() == [0, 1, 4, 5]
    assert checked.values[1] == math.inf
    assert [b.why for b in checked.bad] == [
        "the metric loss is missing (state: crashed)",
        "the run is not over (state is 'running')",
    ]
    assert checked.notes == ("1 runs crashed, failed or were killed but have a metric and are used: line 14",)


def test_weights() -> None:
    checked = check(
        loss=[1, 2, 3, 4, 5, 6, 7],
        a=[0.5, 0.6, -0.2, "x", None, None, 0.496],
        b=[0.5, 0.3, 1.2, 1, 1, 0.5, 0.503],
        simplex=("a", "b"),
    )
    assert checked.good.tolist() == [0, 4, 6]
    assert [b.why for b in checked.bad] == [
        "the weights of w sum to 0.9, not to 1",
        "a is negative: -0.2",
        "a is 'x', not a number",
        "a is missing or infinite, and the other weights do not sum to 1",
    ]


def test_details_that_are_no_numbers_are_named_and_their_rows_kept() -> None:
    checked = check(lr=[1, 2, 3], loss=[1, 2, 3], kl=[0.1, "bad", "inf"], details=("kl",))
    assert len(checked.good) == 3
    assert checked.notes == ("the detail kl is no finite number and left out of lines 11, 12",)


def test_no_row_at_all() -> None:
    with pytest.raises(
        ImportProblem, match=r"none of the 2 rows of t\.csv can be used; the first, line 10: lr is missing"
    ):
        check(lr=[None, 1], loss=[1, None])


def test_long_lists_of_lines_are_cut() -> None:
    assert listed("line", [3]) == "line 3"
    assert listed("row", [3, 4]) == "rows 3, 4"
    assert listed("line", list(range(20)), most=2) == "lines 0, 1, ... (20 in all)"
