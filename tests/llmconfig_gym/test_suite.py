"""Suites: what is saved is loaded again, bit for bit, and damage of any kind is one typed error."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from llmconfig_gym.errors import GymError, SuiteFormatError, UnknownName
from llmconfig_gym.experiment import LEVELS, Experiment, Fidelity
from llmconfig_gym.parameter import Categorical, Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite
from llmconfig_gym.tasks import describe, describe_outcome

Make = Callable[..., Experiment]
CARD = Card("A suite", "MIT", "Nobody: Nothing", "https://example.org", "tests/1", ("one note", "größer"))


@pytest.fixture(scope="module")
def suite(experiments: Mapping[str, Experiment]) -> Suite:
    return Suite.of("test", CARD, experiments.values())


@pytest.fixture(scope="module")
def saved(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("suites") / "test"
    suite.save(root)
    return root


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    """The saved suite, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def line(values: list[float], make: Make, **more: Any) -> Experiment:
    space = Space((Grid("x", tuple(range(len(values)))),))
    return make(Pool(space, {"x": np.arange(len(values))}), values, **more)


def read_everything(root: Path) -> None:
    """Load a suite and do with each experiment what its users do."""
    suite = Suite.load(root)
    for s in suite.summaries:
        json.dumps(s.to_dict())
        e = suite.experiment(s.id)
        assert describe(e, budget=3)
        for row in (0, len(e.pool) - 1):
            assert describe_outcome(e.metric, e.tell(e.pool.config(row)), 2)
        assert e.tell(e.space.decode(np.full(e.space.width, 0.4))).kind in ("measured", "snapped")
        assert e.regret(e.losses).min() >= 0
        suite.cheaper(s.id)
    for level in LEVELS:
        suite.split(level)


def same_columns(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def test_what_is_saved_is_loaded_again_bit_for_bit(suite: Suite, saved: Path) -> None:
    loaded = Suite.load(saved)
    assert (loaded.name, loaded.card, loaded.summaries) == (suite.name, suite.card, suite.summaries)
    for id_ in suite.ids:
        a, b = suite.experiment(id_), loaded.experiment(id_)
        for name in ("id", "suite", "task", "family", "level", "fidelity", "metric", "clip", "space"):
            assert getattr(a, name) == getattr(b, name)
        assert a.noise == b.noise or (math.isnan(a.noise) and math.isnan(b.noise))
        for column, again in zip(
            (a.values, a.spread, a.replicates, *a.pool.columns.values(), *a.details.values()),
            (b.values, b.spread, b.replicates, *b.pool.columns.values(), *b.details.values()),
            strict=True,
        ):
            assert same_columns(column, again)
        assert list(a.details) == list(b.details)
        assert [a.outcome(row) for row in range(len(a.pool))] == [b.outcome(row) for row in range(len(b.pool))]


def test_the_fixtures_hold_what_a_round_trip_could_lose(experiments: Mapping[str, Experiment]) -> None:
    assert np.isnan(experiments["pretraining"].values).any()
    assert np.isinf(experiments["pretraining"].values).any()
    assert np.isnan(experiments["grpo"].details["entropy"]).any()
    assert experiments["mixture"].spread is not None
    assert {c.dtype.kind for c in experiments["architecture"].pool.columns.values()} == {"i", "f", "b", "U"}


def test_a_loaded_suite_can_be_saved_again_as_the_same_files(saved: Path, tmp_path: Path) -> None:
    Suite.load(saved).save(tmp_path / "again")
    assert (tmp_path / "again/suite.json").read_text() == (saved / "suite.json").read_text()
    again, first = Suite.load(tmp_path / "again"), Suite.load(saved)
    assert [s.digest for s in again.summaries] == [s.digest for s in first.summaries]


def test_words_of_any_width_have_the_digest_they_are_loaded_with(make: Make, tmp_path: Path) -> None:
    space = Space((Categorical("act", ("a", "quite long", "größer")),))
    wide = np.array(["a", "quite long", "a longer word"])[:2]
    e = make(Pool(space, {"act": wide}), [1.0, 2.0])
    Suite.of("test", CARD, [e]).save(tmp_path / "s")
    assert Suite.load(tmp_path / "s").experiment(e.id).tell({"act": "quite long"}).value == 2.0


def test_listings_read_no_table(copy: Path) -> None:
    shutil.rmtree(copy / "tables")
    loaded = Suite.load(copy)
    assert [s.to_dict()["configurations"] for s in loaded.summaries] == [26, 40, 30, 18]
    keys = ["id", "suite", "task", "level", "fidelity", "cost", "configurations", "metric", "direction"]
    assert all(list(s.to_dict()) == keys for s in loaded.summaries)
    with pytest.raises(SuiteFormatError, match=r"pretraining\.parquet cannot be read"):
        loaded.experiment("test/pretraining")


def test_levels_are_split_and_cheaper_experiments_come_first_and_from_the_family(make: Make) -> None:
    def one(name: str, level: str, cost: float, family: str = "a") -> Experiment:
        return line([1.0, 2.0], make, name=name, level=level, fidelity=Fidelity({}, cost), family=family)

    suite = Suite.of(
        "test",
        CARD,
        [
            one("h", "high", 9),
            one("m2", "medium", 5),
            one("m1", "medium", 4),
            one("l", "low", 1),
            one("other", "low", 2, "b"),
        ],
    )
    assert [e.id for e in suite.split("medium")] == ["test/m1", "test/m2"]
    assert [e.id for e in suite.cheaper("test/h")] == ["test/l", "test/m1", "test/m2"]
    assert [e.id for e in suite.cheaper("test/m2")] == ["test/l"]
    assert suite.cheaper("test/l") == []


def test_an_unknown_id_gets_a_suggestion(suite: Suite) -> None:
    with pytest.raises(UnknownName, match="did you mean 'test/pretraining'"):
        suite.experiment("test/pretrainin")


BAD_IDS = [
    "test/",
    "test/..",
    "test/../../evil",
    "test/a/b",
    "test//etc/passwd",
    "test/.hidden",
    "test/a\n",
    "test/a b",
    "test/a\\..\\b",
    "test/ä",
    "test/a\x00",
    "other/a",
    "../test/a",
    "/etc/passwd",
    "a",
    "",
]


@pytest.mark.parametrize("id_", BAD_IDS)
def test_an_id_that_could_leave_the_directory_is_refused(id_: str, make: Make, copy: Path, tmp_path: Path) -> None:
    e = line([1.0, 2.0], make)
    object.__setattr__(e, "id", id_)
    with pytest.raises(SuiteFormatError, match="is not an experiment id of suite 'test'"):
        Suite.of("test", CARD, [e])
    index = json.loads((copy / "suite.json").read_text())
    index["experiments"][0]["id"] = id_
    (copy / "suite.json").write_text(json.dumps(index))
    with pytest.raises(SuiteFormatError, match="is not an experiment id of suite 'test'"):
        Suite.load(copy)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/", "../test"])
def test_a_suite_cannot_be_called_like_another_place(name: str, make: Make) -> None:
    e = line([1.0, 2.0], make)
    object.__setattr__(e, "id", f"{name}/a")
    with pytest.raises(SuiteFormatError):
        Suite.of(name, CARD, [e])


def test_a_suite_needs_experiments_with_distinct_ids(make: Make) -> None:
    with pytest.raises(SuiteFormatError, match="has no experiments"):
        Suite.of("test", CARD, [])
    with pytest.raises(SuiteFormatError, match="two experiments are called test/synthetic"):
        Suite.of("test", CARD, [line([1.0], make), line([2.0], make)])


def test_what_is_there_is_replaced_only_when_told_to(suite: Suite, copy: Path, make: Make) -> None:
    other = Suite.of("test", CARD, [line([1.0, 2.0], make, name="only")])
    with pytest.raises(SuiteFormatError, match="exists already"):
        other.save(copy)
    assert Suite.load(copy).ids == suite.ids
    other.save(copy, replace=True)
    assert Suite.load(copy).ids == ("test/only",)
    assert sorted(p.name for p in copy.parent.iterdir()) == ["copy"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_is_no_suite_is_never_replaced(suite: Suite, tmp_path: Path, kind: str) -> None:
    root = tmp_path / "thesis"
    kept = root if kind == "file" else root / "chapter.tex"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("years of work")
    with pytest.raises(SuiteFormatError, match="is no suite, so it is not replaced"):
        suite.save(root, replace=True)
    assert kept.read_text() == "years of work"


def test_a_suite_that_cannot_be_written_leaves_nothing(suite: Suite, copy: Path, tmp_path: Path) -> None:
    (copy / "tables/mixture.parquet").unlink()
    with pytest.raises(SuiteFormatError):
        Suite.load(copy).save(tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy"]


# Damage.


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "holds no suite.json"),
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("\xff\xfe", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"format": ' + "9" * 5000 + "}", "cannot be read"),
        ("[]", "has suite format None, expected 1"),
        ("{}", "has suite format None, expected 1"),
        ('{"format": 2}', "has suite format 2, expected 1; make or import it anew"),
        ('{"format": 1}', "is not a suite's index"),
        ('{"format": 1, "name": "test", "card": {"title": "x"}, "experiments": []}', "is not a suite's index"),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "suite.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(SuiteFormatError, match=says):
        Suite.load(tmp_path)


def test_a_directory_in_place_of_the_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite.json").mkdir()
    with pytest.raises(SuiteFormatError, match="cannot be read"):
        Suite.load(tmp_path)


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in JSON data."""
    if path:
        yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("card", "title"), 3),
        (("card", "notes"), "one note"),
        (("card", "author"), 3),
        (("experiments", 0, "level"), "ultra"),
        (("experiments", 0, "task"), None),
        (("experiments", 0, "configurations"), "26"),
        (("experiments", 0, "metric", "direction"), "up"),
        (("experiments", 0, "metric", "details"), {"steps": 3}),
        (("experiments", 0, "fidelity", "cost"), "1e20"),
        (("experiments", 0, "fidelity", "unit"), 3),
        (("experiments", 0, "fidelity", "values"), {"tokens": None}),
        (("experiments", 0, "noise"), -0.1),
        (("experiments", 0, "clip"), "1.25"),
        (("experiments", 0, "id"), "test/mixture"),
        (("experiments", 0, "space"), []),
        (("experiments",), []),
        (("name",), "other"),
    ],
)
def test_an_index_with_a_wrong_field_is_refused(path: tuple[Any, ...], value: Any, copy: Path) -> None:
    index = json.loads((copy / "suite.json").read_text())
    *parents, last = path
    inside = index
    for key in parents:
        inside = inside[key]
    inside[last] = value
    (copy / "suite.json").write_text(json.dumps(index))
    with pytest.raises(SuiteFormatError, match="is not a suite's index"):
        Suite.load(copy)


ODD = [None, True, 0, -1, 10**400, math.nan, "x", "", [], ["x"], [None], {}, {"x": None}, {"x": 1}]


@pytest.mark.parametrize("id_", ["test/architecture", "test/mixture"])
def test_anything_odd_in_any_one_place_of_the_index_is_harmless_or_a_suite_format_error(id_: str, copy: Path) -> None:
    index = json.loads((copy / "suite.json").read_text())
    index["experiments"] = [e for e in index["experiments"] if e["id"] == id_]
    for *parents, last in list(places(index)):
        inside = index
        for key in parents:
            inside = inside[key]
        for odd in ODD:
            kept, inside[last] = inside[last], odd
            (copy / "suite.json").write_text(json.dumps(index))
            with suppress(SuiteFormatError):
                read_everything(copy)
            inside[last] = kept
    (copy / "suite.json").write_text(json.dumps(index))
    read_everything(copy)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_the_index_gives_a_valid_suite_or_a_suite_format_error(
    data: st.DataObject, copy: Path, saved: Path, json_values: SearchStrategy[Any]
) -> None:
    index = json.loads((saved / "suite.json").read_text())
    for _ in range(data.draw(st.integers(1, 2))):
        *parents, last = data.draw(st.sampled_from(list(places(index))))
        inside = index
        for key in parents:
            inside = inside[key]
        action = data.draw(st.sampled_from(("replace", "remove", "add", "swap")))
        if action == "remove":
            del inside[last]
        elif action == "add" and isinstance(inside[last], dict):
            inside[last][data.draw(st.text(max_size=4))] = data.draw(json_values)
        elif action == "swap":
            *others, there = data.draw(st.sampled_from(list(places(index))))
            value = index
            for key in (*others, there):
                value = value[key]
            inside[last] = json.loads(json.dumps(value))
        else:
            inside[last] = data.draw(json_values)
    (copy / "suite.json").write_text(json.dumps(index, skipkeys=True))
    message = ""
    try:
        read_everything(copy)
    except SuiteFormatError as problem:
        message = str(problem)
    assert not message or str(copy) in message


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_table_is_a_suite_format_error(share: float, copy: Path, saved: Path) -> None:
    whole = (saved / "tables/architecture.parquet").read_bytes()
    (copy / "tables/architecture.parquet").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SuiteFormatError, match=r"architecture\.parquet"):
        Suite.load(copy).experiment("test/architecture")


@pytest.mark.parametrize("id_", ["grpo", "mixture", "pretraining"])
def test_a_table_of_another_experiment_is_refused(id_: str, copy: Path) -> None:
    shutil.copy(copy / "tables/architecture.parquet", copy / f"tables/{id_}.parquet")
    with pytest.raises(SuiteFormatError, match=f"{id_}.parquet"):
        Suite.load(copy).experiment(f"test/{id_}")


def test_a_changed_value_in_a_table_is_noticed(copy: Path) -> None:
    import pyarrow.parquet as pq

    path = copy / "tables/grpo.parquet"
    table = pq.read_table(path)
    values = table.column("value").to_pylist()
    changed = table.set_column(table.column_names.index("value"), "value", [[values[0] + 1e-9, *values[1:]]])
    pq.write_table(changed, path)
    with pytest.raises(SuiteFormatError, match=r"grpo\.parquet is not the table that suite\.json was written for"):
        Suite.load(copy).experiment("test/grpo")


@pytest.mark.parametrize("column", ["value", "config.lr", "detail.kl"])
@pytest.mark.parametrize("damage", ["missing", "text", "nested", "null", "twice", "empty"])
def test_a_table_with_a_wrong_column_is_refused(column: str, damage: str, copy: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = copy / "tables/grpo.parquet"
    table = pq.read_table(path)
    index, rows = table.column_names.index(column), len(table)
    if damage == "missing":
        table = table.remove_column(index)
    elif damage == "twice":
        table = table.append_column(column, table.column(column))
    elif damage == "empty":
        table = table.slice(0, 0)
    else:
        cells = {"text": ["a"] * rows, "nested": [[1.0]] * rows, "null": pa.nulls(rows)}[damage]
        table = table.set_column(index, column, [cells] if isinstance(cells, list) else cells)
    pq.write_table(table, path)
    with pytest.raises(SuiteFormatError):
        Suite.load(copy).experiment("test/grpo")


def test_a_suite_format_error_is_a_gym_error() -> None:
    assert issubclass(SuiteFormatError, GymError)
