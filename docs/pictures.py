"""The pictures of docs/method.md, made from the embedded suite and the code itself; no number in them is typed.

python docs/pictures.py docs/images

Targets are medium experiments and the cheaper runs low ones: high experiments are for measurements.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autollmresearch.benchmark.plots import COLOURS
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.analyst import fit
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from llmconfig_gym.catalog import load_suite
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.files import whole_file
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.pool import Pool
from llmconfig_gym.text import number

TARGET = "micro/N25k-D1M"
MARK, PATH, SHADE = COLOURS[2], COLOURS[6], "viridis_r"
"""Vermilion marks the best, black is the path of an episode; the map runs evenly in grey, too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write all pictures into a directory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args(argv).directory
    for name, figure in (
        ("method-moves.png", moves()),
        ("method-belief.png", belief()),
        ("method-episode.png", episode()),
    ):
        with whole_file(directory / name) as temporary:
            figure.savefig(temporary, format="png", dpi=130)
        print(directory / name)
    return 0


def moves() -> Any:
    """Three measured experiments, cheapest first: where the good learning rates and batch sizes are."""
    suite = load_suite("micro")
    shown = [suite.experiment(f"micro/{name}") for name in ("N6k-D262k", "N6k-D1M", "N25k-D1M")]
    figure, axes = _figure(3)
    for axis, e in zip(axes, shown, strict=True):
        loss = np.minimum(e.losses, np.nanmedian(e.losses) * 1.25)
        _map(axis, e.pool, loss, f"{e.fidelity.text().partition(' (')[0]}\n{e.level}")
        _star(axis, e, int(np.argmin(e.losses)))
    return figure


def belief() -> Any:
    """What the analyst expects of the target: with no run, with ten cheap ones, and after one trial there."""
    target, known = _target(10)
    figure, axes = _figure(3)
    nothing = Problem(known.task, known.fidelity, known.metric, known.pool, (), known.budget, known.clip)
    first = target.outcome(int(np.argmin(fit(known).mean)))
    for axis, title, posterior in (
        (axes[0], "no run known: priors", fit(nothing)),
        (axes[1], "ten cheap runs known", fit(known)),
        (axes[2], "and one trial on the target", fit(known, (first,))),
    ):
        spread = float(np.average(posterior.sd, weights=posterior.best))
        _map(axis, target.pool, posterior.mean, f"{title}\nunsure by {number(spread)} where the best may be")
        _star(axis, target, int(np.argmin(target.losses)))
        row = int(np.argmin(posterior.mean))
        axis.plot(*_position(target.pool, row), "o", color="white", markeredgecolor=PATH, markersize=9)
    return figure


def episode() -> Any:
    """Three trials on the target, by random search, by copying the best cheap runs, and by the analyst."""
    target, known = _target(10)
    figure, axes = _figure(3)
    for axis, method in zip(axes, ("random", "copy", "analyst"), strict=True):
        (played,) = run_episodes(make_policy(method), [target], [known], [0])
        rows = [target.pool.find(o.config)[0] for o in played.outcomes if o.config is not None]
        regret = target.regret(np.array([target.metric.sign * float(o.value or np.nan) for o in played.outcomes]))
        loss = np.minimum(target.losses, np.nanmedian(target.losses) * 1.25)
        _map(axis, target.pool, loss, f"{method}\nregret {' / '.join(f'{r:.3f}' for r in regret)}")
        _star(axis, target, int(np.argmin(target.losses)))
        points = np.array([_position(target.pool, row) for row in rows])
        axis.plot(points[:, 0], points[:, 1], "-", color=PATH, linewidth=1)
        for trial, (x, y) in enumerate(points, 1):
            axis.plot(x, y, "o", color="white", markeredgecolor=PATH, markersize=13)
            axis.annotate(str(trial), (x, y), ha="center", va="center", fontsize=9)
    return figure


def _target(cheap: int) -> tuple[Experiment, Problem]:
    suite = load_suite("micro")
    target = suite.experiment(TARGET)
    return target, Protocol.parse(f"metered:{cheap}").problems(target, suite.cheaper(target.id), 3, [0])[0]


def _figure(columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.3 * columns, 3.7), layout="constrained")
    return figure, figure.subplots(1, columns, sharey=True)


def _levels(pool: Pool) -> list[Any]:
    return [np.unique(pool.columns[name]) for name in pool.space.names]


def _position(pool: Pool, row: int) -> tuple[int, int]:
    """Where a row of a pool of two settings is drawn: the index of its levels."""
    lr, batch = (
        int(np.searchsorted(v, pool.columns[n][row])) for v, n in zip(_levels(pool), pool.space.names, strict=True)
    )
    return batch, lr


def _map(axis: Any, pool: Pool, loss: FloatArray, title: str) -> None:
    """The loss [rows] of a pool of two settings as a map."""
    levels = _levels(pool)
    table = np.full([len(v) for v in levels], np.nan)
    for row, value in enumerate(loss):
        table[_position(pool, row)[::-1]] = value
    image = axis.imshow(table, origin="lower", aspect="auto", cmap=SHADE)
    for ticks, labels, values in (
        (axis.set_xticks, axis.set_xticklabels, levels[1]),
        (axis.set_yticks, axis.set_yticklabels, levels[0]),
    ):
        ticks(range(len(values)))
        labels([number(float(v)) for v in values], fontsize=8)
    axis.set_xlabel(pool.space.names[1])
    if axis.get_subplotspec().is_first_col():
        axis.set_ylabel(pool.space.names[0])
    axis.set_title(title, loc="left", fontsize=10)
    axis.figure.colorbar(image, ax=axis, location="bottom", shrink=0.8, pad=0.02).ax.tick_params(labelsize=8)


def _star(axis: Any, experiment: Experiment, row: int) -> None:
    axis.plot(*_position(experiment.pool, row), "*", color=MARK, markeredgecolor="white", markersize=15)


if __name__ == "__main__":
    raise SystemExit(main())
