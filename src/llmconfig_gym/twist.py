"""Twist: suites that test how far knowledge carries, derived from a measured suite without running anything.

Targets are the experiments of one level; those above it are left out. What a twist does:

- `dropped`: each grid of a target loses a third of its levels, drawn by the seed per family and parameter. A space
  whose grids cannot lose a level, or that has none (a mixture), loses a third of its configurations.
- `shifted`: a target keeps the upper two thirds of each grid's levels and cheaper experiments the lower two thirds,
  or the other way round, drawn likewise. In a mixture it is the two thirds of the configurations with the largest and
  the smallest weight of one drawn component.
- `reversed`: in cheaper experiments level i of every ordered parameter stands where level n-1-i stood, and a mixture's
  components stand in reversed order, so that what was best there misleads. The levels of a range are the values that
  were measured. Targets stay as measured.

A third is rounded, and a grid of fewer than three levels loses none. Ranges keep their ends. No outcome is looked at,
and every row that is kept keeps its outcome, details included (so a reversed architecture's latency no longer follows
from its width). An experiment with fewer than `LEAST` finite outcomes left is left out, and the card says so.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import InvalidTwist
from llmconfig_gym.experiment import LEVELS, Experiment, Level
from llmconfig_gym.parameter import Grid, Ordered, Parameter, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

How: TypeAlias = Literal["dropped", "shifted", "reversed"]
HOWS: tuple[How, ...] = get_args(How)
LEAST = 8
"""Fewest finite outcomes with which an experiment stays in."""

_MEANING: dict[How, str] = {
    "dropped": "Targets lack a drawn third of each grid's levels (mixtures: of the configurations).",
    "shifted": "Targets keep two thirds of each grid at one end and cheaper experiments two thirds at the other "
    "(mixtures: by the weight of one component).",
    "reversed": "Cheaper experiments have every ordered parameter's levels mirrored (mixtures: the order of the "
    "components); targets are as measured.",
}


def twist(suite: Suite, how: How, *, seed: int = 0, targets: Level = "high") -> Suite:
    """The suite `NAME-HOW` in memory: `suite`'s experiments up to the level `targets`, twisted.

    Raises:
        InvalidTwist: no target is left, an experiment has nothing to shift or reverse, or the seed is negative.
    """
    if seed < 0:
        raise InvalidTwist(f"the seed must be 0 or more, found {seed}")
    name = f"{suite.name}-{how}"
    chosen = [suite.experiment(s.id) for s in suite.summaries if LEVELS.index(s.level) <= LEVELS.index(targets)]
    kept, lost = [], []
    for e in chosen:
        target = e.level == targets
        if how == "dropped":
            made = _dropped(e, seed) if target else e
        elif how == "shifted":
            made = _shifted(e, seed, target, [f for f in chosen if f.family == e.family])
        else:
            made = e if target else _reversed(e)
        if made is None:
            lost.append(e.id.partition("/")[2])
        else:
            kept.append(replace(made, id=f"{name}/{e.id.partition('/')[2]}", suite=name))
    if not any(e.level == targets for e in kept):
        raise InvalidTwist(
            f"{suite.name} has no {targets} experiment with {LEAST} or more finite outcomes left when {how}; "
            "choose another level of targets, another seed or another suite"
        )
    return Suite.of(name, _card(suite, how, seed, targets, lost), kept)


def _card(suite: Suite, how: How, seed: int, targets: Level, lost: Sequence[str]) -> Card:
    notes = [
        f"Derived from the suite {suite.name}, not measured anew and no measured suite of its own: "
        f"llmconfig-gym twist {suite.name} --how {how} --seed {seed} --targets {targets}.",
        _MEANING[how],
        f"Experiments above the level {targets} are left out.",
    ]
    if lost:
        notes.append(f"Left out, with fewer than {LEAST} finite outcomes remaining: {', '.join(lost)}.")
    title = f"{how.capitalize()} (derived, not measured): {suite.card.title}"
    notes += [f"Of the source: {note}" for note in suite.card.notes]
    return replace(suite.card, title=title, maker="llmconfig_gym.twist/1", notes=tuple(notes))


def _third(count: int) -> int:
    return round(count / 3) if count >= 3 else 0


def _rng(seed: int, e: Experiment, what: str) -> np.random.Generator:
    """Draws that depend on the seed, the family and the parameter only."""
    return np.random.default_rng([seed, zlib.crc32(f"{e.family}/{what}".encode())])


def _dropped(e: Experiment, seed: int) -> Experiment | None:
    parameters: dict[str, Parameter] = {}
    keep = np.ones(len(e.pool), dtype=np.bool_)
    for p in e.space.parameters:
        if isinstance(p, Grid) and (lost := _third(len(p.levels))):
            gone = _rng(seed, e, p.name).choice(len(p.levels), lost, replace=False)
            left = np.delete(np.arange(len(p.levels)), gone)
            parameters[p.name] = _with_levels(p, left)
            keep &= np.isin(_level_of(p, e.pool.columns[p.name]), left)
    if not parameters:
        keep[_rng(seed, e, "").choice(len(keep), _third(len(keep)), replace=False)] = False
    return _kept(e, parameters, keep)


def _shifted(e: Experiment, seed: int, target: bool, family: Sequence[Experiment]) -> Experiment | None:
    parameters: dict[str, Parameter] = {}
    keep = np.ones(len(e.pool), dtype=np.bool_)
    for p in e.space.parameters:
        rng = _rng(seed, e, p.name)
        upper = (rng.random() < 0.5) == target
        if isinstance(p, Grid) and _third(len(p.levels)):
            left = _end(np.arange(len(p.levels)), upper)
            parameters[p.name] = _with_levels(p, left)
            keep &= np.isin(_level_of(p, e.pool.columns[p.name]), left)
        elif isinstance(p, Simplex):
            weights = e.pool.columns[p.name][:, _component(p, family, rng)]
            parameters[p.name] = p
            keep &= np.isin(np.arange(len(keep)), _end(np.argsort(weights, kind="stable"), upper))
    if not parameters:
        raise InvalidTwist(f"{e.id} has no grid of three or more levels and no mixture, so it cannot be shifted")
    return _kept(e, parameters, keep)


def _component(p: Simplex, family: Sequence[Experiment], rng: np.random.Generator) -> int:
    """A component drawn among those that are in over two thirds of the configurations of every experiment of the
    family, so that zeros do not fill both ends; the most used one if none is."""
    same = [e for e in family if p in e.space.parameters]
    used = np.min([(e.pool.columns[p.name] > 0).mean(axis=0) for e in same], axis=0)
    common = np.flatnonzero(used > 2 / 3)
    return int(rng.choice(common) if len(common) else used.argmax())


def _reversed(e: Experiment) -> Experiment:
    columns = {p.name: _mirrored(p, e.pool.columns[p.name]) for p in e.space.parameters}
    if all(np.array_equal(columns[n], e.pool.columns[n]) for n in columns):
        raise InvalidTwist(f"{e.id} has no ordered parameter or mixture that varies, so it cannot be reversed")
    return replace(e, pool=Pool(e.space, columns))


def _mirrored(p: Parameter, column: NDArray[Any]) -> NDArray[Any]:
    """A column [rows] (a simplex: [rows, components]) with its levels in reversed order."""
    if isinstance(p, Simplex):
        return column[:, ::-1]
    if isinstance(p, Grid):
        return np.array(p.levels, dtype=column.dtype)[::-1][_level_of(p, column)]
    if isinstance(p, Ordered):
        values, index = np.unique(column, return_inverse=True)
        return np.asarray(values[::-1][index])
    return column


def _end(items: NDArray[np.int64], upper: bool) -> NDArray[np.int64]:
    """The last or first two thirds."""
    third = _third(len(items))
    return items[third:] if upper else items[: len(items) - third]


def _level_of(p: Grid, column: NDArray[Any]) -> NDArray[np.int64]:
    """[rows] the index of each value's level."""
    return np.searchsorted(p.midpoints, column, side="right")


def _with_levels(p: Grid, left: NDArray[np.int64]) -> Grid:
    return replace(p, levels=tuple(p.levels[i] for i in left))


def _kept(e: Experiment, parameters: dict[str, Parameter], keep: NDArray[np.bool_]) -> Experiment | None:
    """`e` with some parameters narrowed and the rows [rows] that `keep` says; None if too few are left."""
    if np.isfinite(e.values[keep]).sum() < LEAST:
        return None
    space = Space(tuple(parameters.get(p.name, p) for p in e.space.parameters))
    return replace(
        e,
        pool=Pool(space, {n: c[keep] for n, c in e.pool.columns.items()}),
        values=e.values[keep],
        details={n: c[keep] for n, c in e.details.items()},
        spread=None if e.spread is None else e.spread[keep],
        replicates=None if e.replicates is None else e.replicates[keep],
    )
