"""Knobs: settings that people tune, with plausible names, ranges and habits, from which random spaces are drawn.

No range here was read off a table of outcomes: they are what configuration files of the last years hold, drawn wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmconfig_gym.parameter import FloatArray, Grid


@dataclass(frozen=True)
class Knob:
    """A numeric setting on a grid of levels.

    Attributes:
        names: what people call it; the usual name first, which is drawn most.
        low, high: between these lies the middle of a grid (log-uniformly, where `steps` is not empty).
        steps: octaves between two levels of a logarithmic grid; empty where `levels` are given.
        levels: for a linear grid, the levels to draw a run of neighbours from.
        whole: whether levels are whole numbers.
        size, data: how the best value moves, in octaves (or levels) per octave of model size and of data, mean and
            standard deviation. Signs as widely reported (muP, arXiv:2203.03466; critical batch size, arXiv:2410.21676),
            spread wide, so that any trend must be read off the cheaper runs.
        width: octaves (or levels) until a deviation counts, roughly.
        bold: whether too much of it makes a run diverge or collapse.
        units: what it may be counted in.
    """

    names: tuple[str, ...]
    low: float = 1.0
    high: float = 1.0
    steps: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    whole: bool = False
    size: tuple[float, float] = (0.0, 0.2)
    data: tuple[float, float] = (0.0, 0.2)
    width: float = 2.0
    bold: bool = False
    units: tuple[str, ...] = ("",)


PRETRAINING: tuple[Knob, ...] = (
    Knob(
        ("lr", "learning_rate", "peak_lr"),
        *(1e-4, 2e-2, (0.5, 1.0, 1.0, 2.0)),
        size=(-0.35, 0.25),
        data=(0.1, 0.2),
        width=1.6,
        bold=True,
    ),
    Knob(
        ("batch_size", "batch", "global_batch_size"),
        *(2, 512, (0.5, 1.0, 1.0, 2.0)),
        whole=True,
        size=(0.1, 0.2),
        data=(0.4, 0.25),
        width=2.5,
        units=(
            "",
            "",
            "sequences of 64 tokens",
            "sequences of 512 tokens",
            "sequences of 1024 tokens",
            "sequences of 4096 tokens",
        ),
    ),
    Knob(("weight_decay",), *(1e-2, 0.3, (1.0, 2.0)), size=(0.0, 0.2), data=(-0.1, 0.2), width=4.0),
    Knob(("warmup", "warmup_share"), levels=(0.0, 0.01, 0.02, 0.05, 0.1, 0.2), size=(0.1, 0.15), width=2.5),
    Knob(("beta2",), levels=(0.9, 0.95, 0.98, 0.99, 0.995, 0.999), data=(-0.1, 0.15), width=3.0),
    Knob(("dropout",), levels=(0.0, 0.05, 0.1, 0.15, 0.2, 0.3), data=(-0.2, 0.15), width=2.0),
    Knob(("gradient_clip", "max_grad_norm"), *(0.3, 3.0, (1.0, 2.0)), width=4.0),
    Knob(("init_scale",), *(0.01, 0.1, (0.5, 1.0)), size=(-0.3, 0.2), width=2.0, bold=True),
)

GRPO: tuple[Knob, ...] = (
    Knob(("lr", "learning_rate"), *(1e-6, 4e-3, (1.0, 1.0, 2.0)), size=(-0.3, 0.25), width=1.5, bold=True),
    Knob(("prompts_per_step", "batch_size"), *(8, 128, (1.0, 1.0, 2.0)), whole=True, data=(0.3, 0.25), width=2.5),
    Knob(("kl_coefficient", "kl_weight", "beta"), *(1e-3, 0.1, (2.0, 3.32)), size=(0.1, 0.25), width=4.0),
    Knob(("group_size", "answers_per_prompt"), *(4, 32, (1.0, 2.0)), whole=True, width=2.5),
    Knob(("clip_range", "clip"), *(0.05, 0.4, (0.5, 1.0, 2.0)), size=(-0.1, 0.2), width=2.5, bold=True),
    Knob(("temperature",), levels=(0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2), size=(0.0, 0.15), width=3.0),
    Knob(("updates_per_batch", "epochs"), levels=(1, 2, 3, 4, 6, 8), whole=True, width=2.0, bold=True),
)


@dataclass(frozen=True)
class Axis:
    """A knob in one drawn space.

    Attributes:
        grid: its parameter.
        at: coordinates of its levels, [levels], in octaves (a linear grid: in levels).
        knob: what it was drawn from.
        step: distance of neighbouring levels, about.
    """

    grid: Grid
    at: FloatArray
    knob: Knob
    step: float


HALF_DECADE, DECADE = 1.66, 3.32
"""Steps of grids in round numbers, in octaves: 1, 3, 10, 30, ... and 1, 10, 100, ..."""


def draw_axis(rng: np.random.Generator, knob: Knob, levels: int, round_numbers: float) -> Axis:
    """A grid of about this many levels of a knob; with this probability one of powers of two, or of 1, 3, 10, ..."""
    name = knob.names[0] if rng.random() < 0.7 else str(rng.choice(knob.names))
    unit = str(rng.choice(knob.units))
    if knob.levels:
        count = min(levels, len(knob.levels))
        first = int(rng.integers(len(knob.levels) - count + 1))
        values = knob.levels[first : first + count]
        return Axis(Grid(name, tuple(values), unit=unit), np.arange(count, dtype=np.float64), knob, 1.0)
    step = float(rng.choice(knob.steps))
    centre = np.log2(knob.low) + rng.random() * np.log2(knob.high / knob.low)
    if rng.random() < round_numbers:
        step = 1.0 if knob.whole or rng.random() < 0.5 else HALF_DECADE
        centre = round(centre) + 0.5 * (levels % 2 == 0)
    return log_axis(knob, name, unit, step, centre - step * (levels - 1) / 2, levels)


def log_axis(knob: Knob, name: str, unit: str, step: float, start: float, levels: int) -> Axis:
    """The logarithmic grid that starts near 2^start."""
    if knob.whole:
        start = max(0.0, float(round(start)))  # powers of two
    if step in (HALF_DECADE, DECADE):
        values = _decades(start, step, levels)
    else:
        values = [2 ** (start + step * i) for i in range(levels)]
    if knob.whole and step == 0.5:  # 64, 96, 128, 192, ...
        values = [2.0 ** (start + i // 2) * (1.5 if i % 2 else 1.0) for i in range(levels)]
    rounded = sorted({_written(v, knob.whole) for v in values})
    at = np.log2(np.array(rounded, dtype=np.float64))
    return Axis(Grid(name, tuple(rounded), log=True, unit=unit), at, knob, step)


def moved(axis: Axis, octaves: float) -> Axis:
    """The same grid some whole levels further, as people shift a range with scale; a linear one stays."""
    if axis.knob.levels:
        return axis
    steps = round(octaves / axis.step)
    start = float(axis.at[0]) + steps * axis.step
    return log_axis(axis.knob, axis.grid.name, axis.grid.unit, axis.step, start, len(axis.at))


def _decades(start: float, step: float, levels: int) -> Sequence[float]:
    """1, 3, 10, 30, ... (or 1, 10, 100, ... for the wide step) from near 2^start."""
    per_decade = 2 if step == HALF_DECADE else 1
    first = round(start * np.log10(2) * per_decade)
    return [10.0 ** ((first + i) // per_decade) * (3 if (first + i) % per_decade else 1) for i in range(levels)]


def _written(value: float, whole: bool) -> float:
    """Three significant digits, as prompts show settings."""
    return max(1, round(value)) if whole else float(f"{value:.2e}")
