"""Pictures of a benchmark: regret curves, readable in grey and by colour-blind eyes."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autollmresearch.benchmark.summary import Group
from autollmresearch.methods import DEFAULT
from llmconfig_gym.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#7f7f7f", "#E69F00", "#D55E00", "#56B4E9", "#0072B2", "#009E73", "#000000", "#CC79A7", "#882255")
"""Okabe and Ito's colour-blind-safe palette, but for its yellow, too pale on white. A method keeps its colour."""
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*", "<")
FLOOR = 1e-4
"""Regrets below this are drawn at it: a logarithmic axis has no zero."""
LABEL = 30
"""Characters of a method's name on one line of the legend: names with paths are long."""


def style(method: str, position: int) -> dict[str, str]:
    """Colour, line and marker of a method; default methods keep theirs whatever else is drawn."""
    index = DEFAULT.index(method) if method in DEFAULT else len(DEFAULT) + position
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
    for position, (m, label) in enumerate(zip(group.methods, labels, strict=True)):
        look = style(m.method, position)
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
    legend = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)  # and so may a path
    return figure


def save_curves(group: Group, directory: Path) -> Path:
    """Write a group's regret curves as PNG; returns the path."""
    words = f"regret-{group.suite}-{group.task}-{group.protocol}"  # a task may be called anything; it stays in here
    name = re.sub(r"[^A-Za-z0-9._-]", "-", words) + ".png"
    with whole_file(directory / name) as temporary:
        regret_curves(group).savefig(temporary, format="png", dpi=150)
    return directory / name
