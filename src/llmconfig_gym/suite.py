"""Suite: a named set of experiments on disk.

A suite is a directory: `suite.json` (what it is, where it comes from, and each experiment's space, fidelity and
metric) and one Parquet table per experiment under `tables/`. Tables are read when first asked for, so listing a
suite of thousands of experiments reads one small file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmconfig_gym.errors import GymError, SuiteFormatError, unknown_name
from llmconfig_gym.experiment import LEVELS, Experiment, Fidelity, Level, Metric
from llmconfig_gym.files import is_file_name, whole_directory, write_text
from llmconfig_gym.parameter import FloatArray, Simplex, shown
from llmconfig_gym.plain import is_number, is_text
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

if TYPE_CHECKING:
    import pyarrow

FORMAT = 1


@dataclass(frozen=True)
class Card:
    """Where a suite comes from and on what terms it may be used.

    Attributes:
        title: one line for people.
        licence: the terms, or that none is stated.
        citation: whom to cite.
        url: where its upstream lives.
        maker: what made the tables, with a version: a cached suite of another maker is made anew.
        notes: anything a reader of results must know (conversions, dropped rows, how noise was estimated).
    """

    title: str
    licence: str = ""
    citation: str = ""
    url: str = ""
    maker: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """One experiment as listings show it, without its table."""

    id: str
    suite: str
    task: str
    family: str
    level: Level
    fidelity: Fidelity
    metric: Metric
    configurations: int
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """The listing row: `id, suite, task, level, fidelity, cost, configurations, metric, direction`."""
        return {
            "id": self.id,
            "suite": self.suite,
            "task": self.task,
            "level": self.level,
            "fidelity": dict(self.fidelity.values),
            "cost": self.fidelity.cost,
            "configurations": self.configurations,
            "metric": self.metric.name,
            "direction": self.metric.direction,
        }


@dataclass(frozen=True, eq=False)
class Suite:
    """A named set of experiments with a low / medium / high split.

    Make one in memory with `Suite.of`, read one with `Suite.load`; `experiment` gives one experiment with its table.
    """

    name: str
    card: Card
    summaries: tuple[Summary, ...]
    root: Path | None = None
    _spaces: Mapping[str, Space] = field(default_factory=dict, repr=False)
    _extras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    _loaded: dict[str, Experiment] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, name: str, card: Card, experiments: Iterable[Experiment]) -> Suite:
        """A suite in memory.

        Raises:
            SuiteFormatError: no experiments, a repeated id, or an id that is not `name/plain-characters`.
        """
        loaded: dict[str, Experiment] = {}
        for e in experiments:
            if e.id in loaded:
                raise SuiteFormatError(f"two experiments are called {e.id}; ids must be distinct")
            loaded[e.id] = e
        if not loaded:
            raise SuiteFormatError(f"suite {name!r} has no experiments; it needs at least one")
        for id_ in loaded:
            _check_id(id_, name)
        return cls(name, card, tuple(summarize(e) for e in loaded.values()), _loaded=loaded)

    @property
    def ids(self) -> tuple[str, ...]:
        """Experiment ids, in order."""
        return tuple(s.id for s in self.summaries)

    def summary(self, id_: str) -> Summary:
        """The listing row of one experiment. Raises `UnknownName` with suggestions."""
        if (found := self._by_id.get(id_)) is None:
            raise unknown_name("experiment", id_, self.ids)
        return found

    @cached_property
    def _by_id(self) -> Mapping[str, Summary]:
        return {s.id: s for s in self.summaries}

    @cached_property
    def _by_family(self) -> Mapping[str, Sequence[Summary]]:
        families: dict[str, list[Summary]] = {}
        for s in self.summaries:
            families.setdefault(s.family, []).append(s)
        return families

    def experiment(self, id_: str) -> Experiment:
        """One experiment with its table (read at first use). Raises `UnknownName`, `SuiteFormatError`."""
        if id_ not in self._loaded:
            self._loaded[id_] = self._read(self.summary(id_))
        return self._loaded[id_]

    def split(self, level: Level) -> list[Experiment]:
        """The experiments of one level, cheapest first."""
        chosen = [s for s in self.summaries if s.level == level]
        return [self.experiment(s.id) for s in sorted(chosen, key=lambda s: s.fidelity.cost)]

    def cheaper(self, id_: str) -> list[Experiment]:
        """What may be learned from before `id_`: its family's experiments of every lower level, cheapest first."""
        target = self.summary(id_)
        below = LEVELS[: LEVELS.index(target.level)]
        chosen = [s for s in self._by_family[target.family] if s.level in below]
        return [self.experiment(s.id) for s in sorted(chosen, key=lambda s: s.fidelity.cost)]

    def save(self, root: Path, *, replace: bool = False, also: Callable[[Path], None] | None = None) -> None:
        """Write the suite to a directory, whole or not at all.

        Args:
            also: writes further files into the directory before it takes its place.

        Raises:
            SuiteFormatError: something is there already, and either `replace` is False or it is no suite.
        """
        import pyarrow.parquet

        if root.exists() and not replace:
            raise SuiteFormatError(f"{root} exists already; choose another place or say to replace it")
        if root.exists() and not (root.is_dir() and ((root / "suite.json").is_file() or not any(root.iterdir()))):
            raise SuiteFormatError(f"{root} is no suite, so it is not replaced; choose another place")
        with whole_directory(root) as temporary:
            (temporary / "tables").mkdir()
            entries = []
            for id_ in self.ids:
                e = self.experiment(id_)
                pyarrow.parquet.write_table(_table(e), _table_path(temporary, id_), compression="zstd")
                entries.append(_entry(e))
            index = {"format": FORMAT, "name": self.name, "card": asdict(self.card), "experiments": entries}
            write_text(temporary / "suite.json", json.dumps(index, indent=1) + "\n")
            if also is not None:
                also(temporary)

    @classmethod
    def load(cls, root: Path) -> Suite:
        """Read a suite's index; its tables are read when asked for.

        Raises:
            SuiteFormatError: there is no suite, or it is damaged or of another format.
        """
        _check_inside(root, root / "suite.json")
        try:
            index = json.loads((root / "suite.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SuiteFormatError(f"{root} holds no suite.json; a suite is a directory with one") from None
        except (OSError, ValueError, RecursionError) as problem:
            raise SuiteFormatError(f"{root / 'suite.json'} cannot be read: {problem}") from None
        found = index.get("format") if isinstance(index, dict) else None
        if found != FORMAT:
            raise SuiteFormatError(f"{root} has suite format {shown(found)}, expected {FORMAT}; make or import it anew")
        try:
            card = _card(index["card"])
            entries = {e["id"]: e for e in index["experiments"]}
            _check("experiments", index["experiments"], 0 < len(entries) == len(index["experiments"]))
            for id_ in entries:
                _check_id(id_, index["name"])
            summaries = tuple(_summary(index["name"], e) for e in entries.values())
            spaces = {id_: Space.from_list(e["space"]) for id_, e in entries.items()}
            extras = {id_: _extras(e) for id_, e in entries.items()}
        except (KeyError, TypeError, ValueError, AttributeError, GymError) as problem:
            kind = type(problem).__name__
            raise SuiteFormatError(f"{root / 'suite.json'} is not a suite's index ({kind}: {problem})") from None
        return cls(index["name"], card, summaries, root, spaces, extras)

    def _read(self, summary: Summary) -> Experiment:
        import pyarrow
        import pyarrow.parquet

        assert self.root is not None
        path = _table_path(self.root, summary.id)
        _check_inside(self.root, path)
        try:
            with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
                table = file.read()
            columns = {name: _array(table.column(name)) for name in table.column_names}
            space = self._spaces[summary.id]
            details = {n.removeprefix("detail."): c for n, c in columns.items() if n.startswith("detail.")}
            noise, clip = (self._extras[summary.id][k] for k in ("noise", "clip"))
            experiment = Experiment(
                id=summary.id,
                suite=self.name,
                task=summary.task,
                family=summary.family,
                level=summary.level,
                fidelity=summary.fidelity,
                metric=summary.metric,
                pool=Pool(space, _config_columns(space, columns)),
                values=columns["value"],
                details=details,
                spread=columns.get("spread"),
                replicates=columns.get("replicates"),
                noise=float("nan") if noise is None else noise,
                clip=clip,
            )
        except (OSError, KeyError, ValueError, TypeError, pyarrow.ArrowException, SuiteFormatError) as problem:
            raise SuiteFormatError(f"{path} cannot be read as a table of outcomes: {problem}") from None
        if _digest(experiment) != summary.digest:
            raise SuiteFormatError(f"{path} is not the table that suite.json was written for; make or import it anew")
        return experiment


def summarize(e: Experiment) -> Summary:
    """An experiment's listing row, with a digest of its table."""
    return Summary(e.id, e.suite, e.task, e.family, e.level, e.fidelity, e.metric, len(e.pool), _digest(e))


def _check_id(id_: str, suite: str) -> None:
    """Ids become file names: refuse anything that could leave the suite's directory."""
    prefix, _, name = id_.partition("/")
    if prefix != suite or not is_file_name(prefix) or not is_file_name(name):
        raise SuiteFormatError(
            f"{id_!r} is not an experiment id of suite {suite!r}; expected {suite}/NAME in letters, digits and . _ + -"
        )


def _check_inside(root: Path, path: Path) -> None:
    """A suite may come from anywhere: refuse files of it that are links to files elsewhere."""
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        inside = False
    if not inside:
        raise SuiteFormatError(
            f"{path} is a link that leads out of the suite; put the file itself there (from a hub: use its local_dir)"
        )


def _table_path(root: Path, id_: str) -> Path:
    return root / "tables" / (id_.partition("/")[2] + ".parquet")


def _columns(e: Experiment) -> dict[str, Any]:
    """An experiment's table as flat columns: `config.*`, `value`, `detail.*`, `spread`, `replicates`."""
    columns: dict[str, Any] = {}
    for p in e.space.parameters:
        column = e.pool.columns[p.name]
        if isinstance(p, Simplex):
            columns |= {f"config.{p.name}.{c}": column[:, i] for i, c in enumerate(p.components)}
        else:
            columns[f"config.{p.name}"] = column
    columns["value"] = e.values
    columns |= {f"detail.{name}": column for name, column in e.details.items()}
    if e.spread is not None:
        columns["spread"] = e.spread
    if e.replicates is not None:
        columns["replicates"] = e.replicates
    return columns


def _table(e: Experiment) -> pyarrow.Table:
    import pyarrow

    return pyarrow.table({name: np.ascontiguousarray(column) for name, column in _columns(e).items()})


def _array(column: pyarrow.ChunkedArray) -> Any:
    """A column as numpy, without the copy and the import of pandas that `to_numpy` would cost."""
    import pyarrow

    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    plain = pyarrow.types.is_integer(array.type) or pyarrow.types.is_floating(array.type)
    return np.from_dlpack(array) if plain and array.null_count == 0 else np.array(array.to_pylist())


def _config_columns(space: Space, columns: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for p in space.parameters:
        if isinstance(p, Simplex):
            parts: Sequence[FloatArray] = [columns[f"config.{p.name}.{c}"] for c in p.components]
            result[p.name] = np.stack(parts, axis=1)
        else:
            result[p.name] = columns[f"config.{p.name}"]
    return result


def _digest(e: Experiment) -> str:
    """SHA-256 over the table's column names and values, independent of the file format's version."""
    sha = hashlib.sha256()
    for name, column in _columns(e).items():
        sha.update(name.encode())
        words = column.dtype.kind == "U"  # whose width depends on what else is in the array
        sha.update(json.dumps(column.tolist()).encode() if words else np.ascontiguousarray(column).tobytes())
    return sha.hexdigest()


def _entry(e: Experiment) -> dict[str, Any]:
    """One experiment in `suite.json`."""
    return {
        "id": e.id,
        "task": e.task,
        "family": e.family,
        "level": e.level,
        "fidelity": {"values": dict(e.fidelity.values), "cost": e.fidelity.cost, "unit": e.fidelity.unit},
        "metric": {
            "name": e.metric.name,
            "direction": e.metric.direction,
            "about": e.metric.about,
            "details": dict(e.metric.details),
        },
        "space": e.space.to_list(),
        "configurations": len(e.pool),
        "noise": None if np.isnan(e.noise) else e.noise,
        "clip": e.clip,
        "sha256": _digest(e),
    }


def _check(what: str, value: object, fits: bool) -> None:
    if not fits:
        raise ValueError(f"{what} cannot be {shown(value)}")


def _card(data: Mapping[str, Any]) -> Card:
    notes = data.get("notes", [])
    _check("notes", notes, isinstance(notes, list) and all(is_text(n) for n in notes))
    for key, value in data.items():
        _check(key, value, key == "notes" or is_text(value))
    return Card(**{**data, "notes": tuple(notes)})


def _extras(entry: Mapping[str, Any]) -> dict[str, float | None]:
    for key in ("noise", "clip"):
        _check(key, entry[key], entry[key] is None or (is_number(entry[key]) and entry[key] >= 0))
    return {"noise": entry["noise"], "clip": entry["clip"]}


def _summary(suite: str, entry: Mapping[str, Any]) -> Summary:
    fidelity, metric = entry["fidelity"], entry["metric"]
    for key in ("task", "family", "sha256"):
        _check(key, entry[key], is_text(entry[key]))
    for key in ("name", "about"):
        _check(f"metric {key}", metric[key], is_text(metric[key]))
    _check("level", entry["level"], entry["level"] in LEVELS)
    _check("configurations", entry["configurations"], type(entry["configurations"]) is int)
    _check("direction", metric["direction"], metric["direction"] in ("minimize", "maximize"))
    _check("details", metric["details"], all(is_text(t) for t in metric["details"].values()))
    _check("fidelity", fidelity["values"], all(is_text(v) or is_number(v) for v in fidelity["values"].values()))
    _check("cost", fidelity["cost"], is_number(fidelity["cost"]))
    _check("unit", fidelity["unit"], is_text(fidelity["unit"]))
    return Summary(
        id=entry["id"],
        suite=suite,
        task=entry["task"],
        family=entry["family"],
        level=entry["level"],
        fidelity=Fidelity(**entry["fidelity"]),
        metric=Metric(**entry["metric"]),
        configurations=entry["configurations"],
        digest=entry["sha256"],
    )
