"""Pictures of a benchmark: regret curves, readable in grey and by colour-blind eyes."""

from __future__ import annotations

import math
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from autollmresearch.benchmark.standing import Standing
from autollmresearch.benchmark.summary import Group
from autollmresearch.methods import ALL
from llmconfig_gym.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (
    *("#7f7f7f", "#E69F00", "#D55E00", "#56B4E9", "#0072B2", "#009E73", "#000000", "#CC79A7"),
    *("#882255", "#332288"),
)
"""Okabe and Ito's colour-blind-safe palette, but for its yellow, too pale on white; and two of Tol's. A method keeps
its colour."""
DARK = {"#D55E00": "#E8743B", "#0072B2": "#4A9BE0", "#000000": "#FFFFFF", "#882255": "#D65A92", "#332288": "#A395F0"}
"""On a dark ground: what to take for those of the colours that are too dark to be seen there."""
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*", "<")
FLOOR = 1e-4
"""Regrets below this are drawn at it: a logarithmic axis has no zero."""
LABEL = 30
"""Characters of a method's name on one line of the legend: names with paths are long."""


def style(method: str) -> dict[str, str]:
    """Colour, line and marker of a method, by its name alone: the same whatever else is drawn, and wherever.

    No two methods of `ALL` share all three, and no other method shares them with one of those; two others may.
    """
    looks = math.lcm(len(COLOURS), len(LINES), len(MARKERS))  # then they come again
    index = (
        ALL.index(method) if method in ALL else len(ALL) + crc32(method.encode("utf-8", "replace")) % (looks - len(ALL))
    )
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": LINES[index % len(LINES)],
        "marker": MARKERS[index % len(MARKERS)],
    }


def regret_curves(group: Group) -> Figure:
    """Mean simple regret against trials, with 95 % intervals, one line per method."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    labels = ["\n".join(textwrap.wrap(m.method, LABEL, drop_whitespace=False)) for m in group.methods]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure = Figure(figsize=(7.2, max(4.2, 0.8 + 0.18 * lines)), layout="constrained")
    axes = figure.add_subplot()
    trials = np.arange(1, group.budget + 1)
    for m, label in zip(group.methods, labels, strict=True):
        look = style(m.method)
        axes.plot(trials, np.maximum(m.regret, FLOOR), label=label, markersize=4, linewidth=1.6, **look)  # type: ignore[arg-type]
        low, high = np.maximum(m.low, FLOOR), np.maximum(m.high, FLOOR)
        axes.fill_between(trials, low, high, color=look["color"], alpha=0.10, linewidth=0)
    axes.set_yscale("log")
    paid = group.protocol.startswith("active:")
    axes.set_xlabel(f"cost spent, in parts of {group.budget}" if paid else "trials on the target")
    axes.set_ylabel("mean simple regret (log scale; 1e-4 stands for less)")
    axes.set_title(group.title, loc="left", fontsize=11, parse_math=False)  # a name may hold a dollar sign
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True, which="major", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    handles = axes.get_lines()  # perhaps none
    legend = axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)  # and so may a path
    return figure


def rank_picture(standing: Standing) -> Figure:
    """Average ranks on a line; methods that a bar joins cannot be told apart (Demsar 2006, figure 1)."""
    import pandas as pd
    from matplotlib.figure import Figure
    from scikit_posthocs import critical_difference_diagram

    labels = [p.method if len(p.method) <= LABEL else f"...{p.method[3 - LABEL :]}" for p in standing.places]
    names = [f"{label}{chr(0x200B) * labels[:i].count(label)}" for i, label in enumerate(labels)]  # none like another
    ranks = pd.Series([p.rank for p in standing.places], index=names)
    apart = np.abs(ranks.to_numpy()[:, None] - ranks.to_numpy()) >= standing.critical
    looks = [style(p.method) for p in standing.places]
    figure = Figure(figsize=(7.2, 1.6 + 0.16 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    critical_difference_diagram(
        ranks,
        pd.DataFrame(np.where(apart, 0.0, 1.0), index=names, columns=names),
        ax=axes,
        label_fmt_left="{label} ({rank:.1f})",
        label_fmt_right="({rank:.1f}) {label}",
        label_props={"fontsize": 9, "parse_math": False},
        color_palette={name: look["color"] for name, look in zip(names, looks, strict=True)},
        text_h_margin=0.2,
    )
    axes.set_title(f"average ranks, protocol {standing.protocol}", loc="left", fontsize=11, parse_math=False)
    return figure


def file_name(words: str) -> str:
    """These words as a file's name: tasks and experiments may be called anything, and stay in their directory."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", words)


def save_ranks(standing: Standing, directory: Path) -> Path:
    """Write a standing's ranks as PNG; returns the path."""
    name = file_name(f"ranks-{standing.protocol}") + ".png"
    with whole_file(directory / name) as temporary:
        rank_picture(standing).savefig(temporary, format="png", dpi=150)
    return directory / name


def save_curves(group: Group, directory: Path) -> Path:
    """Write a group's regret curves as PNG; returns the path."""
    name = file_name(f"regret-{group.suite}-{group.task}-{group.protocol}") + ".png"
    with whole_file(directory / name) as temporary:
        regret_curves(group).savefig(temporary, format="png", dpi=150)
    return directory / name
