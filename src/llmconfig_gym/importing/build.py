"""From a table and the roles of its columns to a suite: one experiment per fidelity, one outcome per configuration.

Runs of one configuration at one fidelity become one outcome: the mean of the metric, the sample standard deviation
between them, and their number. If one of them diverged, so did the outcome (its mean is infinite).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from llmconfig_gym.catalog import EMBEDDED, SOURCES
from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.experiment import Experiment, Fidelity, Level, Metric
from llmconfig_gym.files import is_file_name
from llmconfig_gym.importing.columns import Column, plain, read_columns, sized
from llmconfig_gym.importing.guess import guess_roles
from llmconfig_gym.importing.levels import experiment_ids, split_levels
from llmconfig_gym.importing.names import is_loss
from llmconfig_gym.importing.outcomes import finite_mean, mean_and_spread, pooled_sd
from llmconfig_gym.importing.read import BadRow, Table, read_table
from llmconfig_gym.importing.report import Replicates, Report
from llmconfig_gym.importing.roles import Guess, Overrides, Roles
from llmconfig_gym.importing.rows import check_rows, listed
from llmconfig_gym.importing.scale import group_codes, merge_close
from llmconfig_gym.importing.source import Source
from llmconfig_gym.importing.spaces import Indices, Setting, settings
from llmconfig_gym.parameter import EXACT, FloatArray
from llmconfig_gym.plain import LARGEST
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite
from llmconfig_gym.text import number

CLIP = 1.25
"""Where runs diverged, the regret scale of a positive loss ends at this multiple of the best (DATA.md, Step Law)."""

_LONGEST_NAME = 80


def import_table(
    source: Path | Source, name: str, *, overrides: Overrides | None = None, levels: Mapping[Level, int] | None = None
) -> tuple[Suite, Report]:
    """Make a user's file of runs into a suite, in memory.

    Args:
        source: a .csv, .tsv, .json, .jsonl or .parquet file, or what a tracker keeps.
        name: what to call the suite.
        overrides: what the user says about the columns; everything else is guessed.
        levels: how many experiments are low, medium and high; by default thirds, by cost.

    Raises:
        ImportProblem: the file cannot be read, or cannot become a suite as it stands.
    """
    check_name(name)
    table = read_table(source)
    return build_suite(table, guess_roles(table, overrides), name, levels=levels)


def check_name(name: str) -> None:
    """Raises `ImportProblem` if a suite cannot be called that."""
    if len(name) > _LONGEST_NAME or not is_file_name(name):
        raise ImportProblem(f"{name!r} cannot be a suite's name; expected letters, digits and . _ + - (see --name)")
    if name in (*EMBEDDED, *SOURCES):
        raise ImportProblem(f"{name!r} is the name of a suite that this package brings; choose another with --name")


@dataclass(frozen=True, eq=False)
class _Rows:
    """What is known of the rows that are used; arrays and columns are [n]."""

    at: Indices
    lines: Indices
    columns: Mapping[str, Column]
    values: FloatArray
    groups: Indices
    settings: Sequence[Setting]
    notes: Sequence[str]


@np.errstate(over="ignore", invalid="ignore")  # a table may hold anything: results are checked, not warned of
def build_suite(
    table: Table, guess: Guess, name: str, *, levels: Mapping[Level, int] | None = None
) -> tuple[Suite, Report]:
    """The suite that a table is under the given roles, and what became of every row.

    Raises:
        ImportProblem: no row can be used, a cost is unknown, or `levels` does not add up.
    """
    check_name(name)
    roles = guess.roles
    rows, bad, row_notes = _usable(table, roles)
    members = [np.flatnonzero(rows.groups == g) for g in np.unique(rows.groups)]
    merged = {f: merge_close(rows.columns[f].numbers) for f in roles.fidelity}
    fidelities = [_fidelity(rows.columns, merged, roles, m) for m in members]
    order = sorted(range(len(members)), key=lambda k: (fidelities[k].cost, str(sorted(fidelities[k].values.items()))))
    split = split_levels(len(order), levels)
    ids = experiment_ids(name, [fidelities[k].values for k in order])
    clip = _clip(roles, rows.values, members)
    experiments: list[Experiment] = []
    replicates: list[Replicates] = []
    for id_, level, k in zip(ids, split, order, strict=True):
        experiment, repeated = _experiment(id_, name, level, fidelities[k], roles, rows, members[k])
        experiments.append(replace(experiment, clip=clip))
        replicates += repeated
    report = Report(
        path=table.path,
        unit=table.unit,
        read=table.rows,
        used=len(rows.lines),
        bad=tuple(sorted(bad, key=lambda b: b.line)),
        replicates=tuple(replicates),
        diverged=int((~np.isfinite(rows.values)).sum()),
        notes=(*guess.notes, *row_notes, *rows.notes, *_warnings(table, rows.at, experiments, clip)),
        guess=guess,
    )
    return Suite.of(name, _card(report), experiments), report


def _usable(table: Table, roles: Roles) -> tuple[_Rows, list[BadRow], tuple[str, ...]]:
    """The rows that make experiments, the others, and notes on the former.

    An experiment needs one configuration that never diverged: a fidelity without one is reported row by row.
    """
    columns = read_columns(table, roles.categorical)
    columns |= {f: sized(columns[f]) for f in roles.fidelity}
    checked = check_rows(table, columns, roles)
    lines = np.array(table.lines, dtype=np.int64)
    rows = _select(columns, roles, lines, checked.values, checked.good)
    configs = np.unique(np.stack([rows.groups, *(s.codes for s in rows.settings)], axis=1), axis=0, return_inverse=True)
    which = configs[1].reshape(-1)
    spoilt = np.isin(which, which[~np.isfinite(rows.values)])
    hopeless = ~np.isin(rows.groups, rows.groups[~spoilt])
    if hopeless.all():
        raise ImportProblem(f"every run of {table.path.name} diverged; expected a finite {roles.metric} in some row")
    bad = [*checked.bad]
    if hopeless.any():
        why = "every configuration at its fidelity diverged, so it makes no experiment"
        bad += [BadRow(int(line), why) for line in rows.lines[hopeless]]
        rows = _select(columns, roles, lines, checked.values, rows.at[~hopeless])
    return rows, bad, checked.notes


def _select(columns: Mapping[str, Column], roles: Roles, lines: Indices, values: FloatArray, at: Indices) -> _Rows:
    taken = {n: c.take(at) for n, c in columns.items()}
    groups = group_codes((taken[f] for f in roles.fidelity), len(at))
    found, notes = settings(taken, roles, groups)
    return _Rows(at, lines[at], taken, values[at], groups, found, notes)


def _details(columns: Mapping[str, Column], roles: Roles) -> dict[str, FloatArray]:
    shorts = [columns[d].short for d in roles.details]
    names = [s if shorts.count(s) == 1 else d for d, s in zip(roles.details, shorts, strict=True)]
    return {n: columns[d].numbers for n, d in zip(names, roles.details, strict=True)}


def _fidelity(
    columns: Mapping[str, Column], merged: Mapping[str, FloatArray], roles: Roles, members: Indices
) -> Fidelity:
    """The fidelity that the rows at `members` share, and its cost (the mean over them where it was measured)."""
    shorts = [columns[f].short for f in roles.fidelity]
    values: dict[str, float | str] = {}
    for f, short in zip(roles.fidelity, shorts, strict=True):
        name = short if shorts.count(short) == 1 else f
        if columns[f].kind == "number":
            level = float(merged[f][members[0]])
            values[name] = plain(level, whole=level.is_integer() and abs(level) < EXACT)
        else:
            values[name] = str(columns[f].value(int(members[0])))
    costs = [merged[c][members] if c in merged else columns[c].numbers[members] for c in roles.cost.columns]
    means = [float(c[np.isfinite(c)].mean()) if np.isfinite(c).any() else float("nan") for c in costs]
    cost = math.prod(means) * (6.0 if roles.cost.rule == "6ND" else 1.0)
    if not 0 < cost <= LARGEST:
        where = ", ".join(f"{k} {v}" for k, v in values.items()) or "the only fidelity"
        found = "unknown" if np.isnan(cost) else number(cost)
        raise ImportProblem(
            f"the cost at {where} ({roles.cost.text()}) is {found}, expected a positive number; "
            "name a column with --cost"
        )
    return Fidelity(values, cost, roles.cost.unit)


def _clip(roles: Roles, values: FloatArray, members: Sequence[Indices]) -> float | None:
    """1.25 where a positive loss has runs beyond that multiple of their experiment's best; else None.

    Where half the runs of an experiment lie beyond it, that is how the loss is spread, not a few runs that blew up.
    """
    if roles.direction != "minimize" or not is_loss(roles.metric) or not (values > 0).all():
        return None
    beyond = [float((values[m] > CLIP * values[m].min()).mean()) for m in members]
    return CLIP if 0 < max(beyond) < 0.5 else None


def _experiment(
    id_: str,
    suite: str,
    level: Level,
    fidelity: Fidelity,
    roles: Roles,
    rows: _Rows,
    members: Indices,
) -> tuple[Experiment, list[Replicates]]:
    """One experiment from the rows at `members`; configurations in the order in which they first appear."""
    codes = np.stack([s.codes[members] for s in rows.settings], axis=1)
    _, firsts, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    which = np.argsort(order)[inverse.reshape(-1)]  # for each member the row of the pool it belongs to
    representative = members[firsts[order]]
    space = Space(tuple(s.make(members) for s in rows.settings))
    pool = Pool(space, {s.name: s.values[representative] for s in rows.settings})
    counts = np.bincount(which)
    value, spread = mean_and_spread(rows.values[members], which, counts)
    repeated = [
        Replicates(
            id_, pool.config(r), tuple(rows.lines[members[which == r]].tolist()), float(value[r]), float(spread[r])
        )
        for r in np.flatnonzero(counts > 1).tolist()
    ]
    metric = Metric(rows.columns[roles.metric].short, roles.direction)
    experiment = Experiment(
        id=id_,
        suite=suite,
        task=roles.task,
        family=suite,
        level=level,
        fidelity=fidelity,
        metric=metric,
        pool=pool,
        values=value,
        details={n: finite_mean(d[members], which, len(counts)) for n, d in _details(rows.columns, roles).items()},
        spread=spread if repeated else None,
        replicates=counts.astype(np.int64) if repeated else None,
        noise=pooled_sd(spread, counts),
    )
    return experiment, repeated


def _warnings(table: Table, at: Indices, experiments: Sequence[Experiment], clip: float | None) -> list[str]:
    """What a careful reader would ask about the result."""
    notes = []
    used = table.frame.iloc[at]
    copies = used.index[used.astype(str).duplicated(keep=False)].tolist()
    if copies:
        notes.append(
            f"{listed(table.unit, copies)} have copies that agree in every column: if a run was exported twice, "
            "remove one, or the noise comes out too small"
        )
    if clip is not None:
        notes.append(
            f"the regret scale ends at {clip} x the best loss, so that runs that blew up do not flatten the rest"
        )
    single = [e.id for e in experiments if len(e.pool) == 1]
    if single:
        notes.append(
            f"{len(single)} of {len(experiments)} experiments hold one configuration only, such as {single[0]}"
        )
    return notes


def _card(report: Report) -> Card:
    roles = report.guess.roles
    notes = (
        f"{report.used} of {report.read} rows are used, {len(report.bad)} were reported as unusable.",
        f"cost: {roles.cost.text()}.",
        *(f"{note}." for note in report.notes),
    )
    return Card(title=f"imported from {report.path.name}", maker="llmconfig_gym.importing 1", notes=notes)
