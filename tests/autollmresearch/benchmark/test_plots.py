"""Pictures: every method is drawn, in its own colour, and files stay where they belong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autollmresearch.benchmark.plots import FLOOR, rank_picture, regret_curves, save_curves, save_ranks, style
from autollmresearch.benchmark.standing import standings
from autollmresearch.benchmark.summary import Group, summarize
from autollmresearch.methods import ALL, DEFAULT
from autollmresearch.report.benchmark import LINES, MARKERS, looks

Frame = Callable[..., pd.DataFrame]


def group_of(frame: pd.DataFrame) -> Group:
    return next(iter(summarize(frame)))


def test_every_method_is_a_line_through_its_mean_regrets(frame_of: Frame) -> None:
    cube = np.array([[[0.5, 0.25, 0.0]]])
    group = group_of(frame_of({"copy": cube, "random": cube / 2, "<b>agent</b>": cube / 4}))
    (axes,) = regret_curves(group).axes
    lines = {str(line.get_label()): line.get_ydata() for line in axes.get_lines()}
    assert list(lines) == ["random", "copy", "<b>agent</b>"]
    np.testing.assert_allclose(np.asarray(lines["copy"], dtype=float), [0.5, 0.25, FLOOR])
    assert axes.get_yscale() == "log"
    legend = axes.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == list(lines)


def test_under_a_budget_of_cost_the_axis_is_cost(frame_of: Frame) -> None:
    for protocol, label in (("full", "trials on the target"), ("active:3", "cost spent, in parts of 2")):
        (axes,) = regret_curves(group_of(frame_of({"sha": np.ones((1, 1, 2))}, protocol=protocol))).axes
        assert axes.get_xlabel() == label


def test_long_names_and_odd_paths_leave_room_for_the_curves(frame_of: Frame, tmp_path: Path) -> None:
    cube = np.array([[[0.5, 0.25, 0.0]]])
    names = [f"agent:/runs/{'deep/' * 20}$x^{{2$ {i}/checkpoint,temperature=0.8" for i in range(12)]
    figure = regret_curves(group_of(frame_of(dict.fromkeys(names, cube))))
    figure.savefig(tmp_path / "x.png")  # warns where the curves have no room
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    assert sorted(t.get_text().replace("\n", "") for t in legend.get_texts()) == sorted(names)
    assert axes.get_window_extent().width > figure.bbox.width / 3


def lightness(colour: str) -> int:
    """CIE L* of a colour in steps of 5: what can be told apart in grey."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return round((116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y) / 5)


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_in_grey_no_two_methods_look_the_same(ground: str) -> None:
    drawn = looks(list(ALL))
    assert len({(look["dash"], look["symbol"], lightness(look[ground])) for look in drawn}) == len(ALL)
    assert len({look[ground] for look in looks(list(DEFAULT))}) == len(DEFAULT)


def test_a_method_looks_the_same_in_curves_ranks_and_page_whatever_else_is_drawn(frame_of: Frame) -> None:
    cube = np.array([[[0.5, 0.25]]])
    mine = "mine:x=2"
    few, many = ({**dict.fromkeys(others, cube), mine: cube * 2} for others in (["copy", "a"], ["a", "b", "zoo", "gp"]))
    expected = style(mine)
    assert expected not in [style(m) for m in ALL]
    for methods in (few, many):
        frame = frame_of(methods)
        (line,) = [x for x in regret_curves(group_of(frame)).axes[0].get_lines() if x.get_label() == mine]
        assert {"color": line.get_color(), "linestyle": line.get_linestyle(), "marker": line.get_marker()} == expected
        (label,) = [t for t in rank_picture(next(iter(standings(frame)))).axes[0].texts if mine in t.get_text()]
        assert label.get_color() == expected["color"]
        (look,) = [look for look in looks(list(methods)) if look["name"] == mine]
        assert look["light"] == expected["color"]
        assert (look["dash"], look["symbol"]) == (LINES[expected["linestyle"]], MARKERS[expected["marker"]])


def test_the_picture_is_a_png_named_after_its_group(frame_of: Frame, tmp_path: Path) -> None:
    path = save_curves(group_of(frame_of({"copy": np.ones((1, 1, 2))}, protocol="metered:5")), tmp_path)
    assert path == tmp_path / "regret-made-other-metered-5.png"
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("task", ["../../../etc/x", "a/b", "<script>", "$x^{2$ _", "ä ö"])
def test_a_name_cannot_leave_the_directory_nor_be_read_as_a_formula(frame_of: Frame, tmp_path: Path, task: str) -> None:
    out = tmp_path / "deep" / "out"
    path = save_curves(group_of(frame_of({"copy": np.ones((1, 1, 1))}, task=task)), out)
    assert path.parent == out
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_every_rank_is_drawn_and_methods_too_close_to_call_are_joined(frame_of: Frame, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    name = "agent:/runs/$x^{2$/" + "deep/" * 12
    methods = {"random": 0.9, "copy": 0.5, f"{name}a": 0.1, f"{name}b": 0.1}
    (standing,) = standings(frame_of({m: v + rng.uniform(0, 0.01, (30, 1, 2)) for m, v in methods.items()}))
    (axes,) = rank_picture(standing).axes
    texts = [t.get_text() for t in axes.texts]
    assert sum("deep/a" in t or "deep/b" in t for t in texts) == 2
    assert {"random", "copy"} == {m for m in ("random", "copy") if any(m in t for t in texts)}
    bars = [line for line in axes.get_lines() if line.get_color() == "k" or line.get_linewidth() > 2]
    assert len(bars) == 1, "only the two agents are alike"
    path = save_ranks(standing, tmp_path)
    assert path.name == "ranks-full.png"
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
