"""The fuzz targets without the fuzzer: seeds, changed as `fuzz/mutate.py` does, the same on every machine.

Whatever is read, nothing but the packages' typed errors may come of it. `FOUND` holds what broke a reader once. The
campaigns are run with `python -m fuzz.run`; docs/security.md says what they gave.
"""

from __future__ import annotations

import json
import random
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pytest
from fuzz import run
from fuzz.mutate import mutate, mutate_json
from fuzz.readers import NOT_READ, READ, readers, reading
from fuzz.targets import NAMES, target

from autollmresearch.errors import ResearchError
from llmconfig_gym.errors import GymError

MOST, SHARE = 3000, 150
"""Inputs of a target at most, and of how many of a campaign one is tried here."""


TURN = b'{"read": "", "wrote": {}, "reward": 0, "seconds": 0, "outcome": %s, "candidates": %s}'
PLAYED = b'{"experiment": "a", "budget": 1, "seed": %s, "turns": [' + TURN + b"]}\n"
MEASURED = b'{"kind": "measured"}'
RUN = b'{"group": %s, "experiment": "e", "config": %s, "seed": 0, "value": 1, "status": "ok", "details": {}, '
RUN += b'"seconds": 1, "device": ""}\n'
STUDY = b'{"spec": {"version": 1}, "evidence": [{"space": [{"kind": "real", "name": "x", "low": 0, "high": 1}], '
STUDY += b'"columns": {"x": [0.5]}, "losses": [1], "details": %s, "fidelity": {"values": {}, "cost": 1}}], "later": []}'
MLFLOW, LOOP = b'"experiment_id: 1\\nlifecycle_stage: active\\n"', b', "1/a/params/x": {"link": "x"}}'
FOUND = [
    ("recipe", b"seed: !!bool x"),
    ("recipe", b"seed: !!int ''"),
    ("recipe", b"seed: !!timestamp x"),
    ("recipe", b"[" * 60),
    ("trajectories", PLAYED % (b"0", b'{"kind": "measured", "config": 0.5}', b"[]")),
    ("trajectories", PLAYED % (b"0", b'{"kind": "measured", "config": ""}', b"[]")),
    ("trajectories", PLAYED % (b"0", MEASURED, b'[{"config": "x", "probability": 1}]')),
    ("trajectories", PLAYED % (b"1e999", MEASURED, b"[]")),
    ("collected", RUN % (b"[]", b"{}")),
    ("collected", RUN % (b'"g"', b"[]")),
    ("collected", b"[" * 100_000 + b"\n"),
    ("import_jsonl", b'{"name": "\\ud800", "lr": 1, "N": 1, "loss": 1}\n'),
    ("import_jsonl", b'{"\\ud800": 1, "lr": 1, "N": 1, "loss": 1}\n'),
    ("checkpoint_settings", b'{"base_model_name_or_path": "' + b"x" * 5000 + b'"}'),
    ("checkpoint_settings", b'{"base_model_name_or_path": "\\u0000"}'),
    ("checkpoint", b'tokenizer.json\n{"version": "1.0", "model": {"type": "nothing"}}'),
    ("checkpoint", b"tokenizer.json\n{}"),
    ("stored_study", STUDY % b"[]"),
    ("import_mlflow_folder", b'{"1/meta.yaml": "experiment_id: !!bool x"}'),
    ("import_mlflow_folder", b'{"1/meta.yaml": %s, "1/a/meta.yaml": "run_id: a\\n%s' % (MLFLOW, MLFLOW[1:]) + LOOP),
]
"""What broke a reader once: a target, and an input."""

CHANGED = [
    ("import_trackio_database", -1, b'CREATE TABLE "metrics"', b'CREATE TABL\xff "metrics"'),
    ("import_trackio_parquet", -1, b"PAR1\x15", b"PAR1\xff"),
    ("import_optuna_journal", 0, b'["val/loss"]', b"[7]"),
    ("report", 0, b'"at": [false, true], "labels": ["false", "true"]', b'"at": [], "labels": []'),
    ("report", 0, b'"worst":', b'"w":'),
    ("report", 0, b'"labels":', b'"l":'),
    ("report", 0, b'"expected": 0.5', b'"expected": 1' + b"0" * 400),
    ("report", 0, b'"seeds": 2, "level": "high"', b'"seeds": 2'),
]
"""The same, as a change to a seed of the target."""


@pytest.mark.parametrize(("name", "data"), FOUND, ids=range(len(FOUND)))
def test_what_broke_a_reader_once_is_refused_or_read(name: str, data: bytes) -> None:
    with suppress(GymError, ResearchError):
        target(name).read(data)


@pytest.mark.parametrize(("name", "seed", "old", "new"), CHANGED, ids=range(len(CHANGED)))
def test_changes_that_broke_a_reader_once_are_refused_or_read(name: str, seed: int, old: bytes, new: bytes) -> None:
    whole = target(name).seeds()[seed]
    assert old in whole
    with suppress(GymError, ResearchError):
        target(name).read(whole.replace(old, new))


@pytest.mark.filterwarnings("ignore")  # other people's libraries, of what is wrong in a file
@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_typed_errors_comes_of_changed_inputs(name: str) -> None:
    chosen = target(name)
    seeds = chosen.seeds()
    assert all(len(seed) <= chosen.LONGEST for seed in seeds)
    rng = random.Random(0)
    typed = 0
    for _ in range(min(MOST, chosen.RUNS // SHARE)):
        data = mutate(rng.choice(seeds), rng, chosen.WORDS, chosen.LONGEST)
        try:
            chosen.read(data)
        except (GymError, ResearchError):
            typed += 1
        except Exception as problem:
            raise AssertionError(f"{name} broke on {data!r}") from problem
    assert typed or name in ("action", "cell", "checkpoint", "names"), "changes that break nothing test nothing"


@pytest.mark.parametrize("name", NAMES)
def test_some_seed_of_every_target_is_read_whole_and_they_reach_its_readers(name: str) -> None:
    chosen = target(name)
    seeds, read, entered = chosen.seeds(), 0, set[tuple[str, int]]()

    def enter(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            entered.add((frame.f_globals.get("__name__", ""), frame.f_code.co_firstlineno))

    before = sys.getprofile()
    sys.setprofile(enter)
    try:
        for seed in seeds:
            with suppress(GymError, ResearchError):
                chosen.read(seed)
                read += 1
    finally:
        sys.setprofile(before)
    assert read, "what is refused at once never reaches the reader's depths"
    missed = {f for f, reads in READ.items() if reads == name and readers()[f] not in entered}
    assert not missed, f"fuzz/readers.py says that {name} reads them, but no seed of it gets there"


def test_every_reader_of_bytes_has_a_target_or_a_reason() -> None:
    named = [*READ, *(f for functions in NOT_READ.values() for f in functions)]
    assert sorted(named) == sorted({*named}), "a reader stands in fuzz/readers.py once"
    unnamed, gone = {*readers()} - {*named}, {*named} - {*readers()}
    assert not unnamed, f"say in fuzz/readers.py which target reads {unnamed}, or why none does"
    assert not gone, f"take {gone} out of fuzz/readers.py"
    assert {*READ.values()} <= {*NAMES}


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("def f(p): return p.read_text()", ["f"]),
        ("class A:\n    @cache\n    def f(self, p):\n        with p.open('rb') as file: pass", ["A.f"]),
        ("def f(p):\n    def g(): return pyarrow.parquet.read_table(p)\n    return g", ["f.g"]),
        ("from optuna.storages import RDBStorage\ndef f(url): return [RDBStorage(url)]", ["f"]),
        ("DATA = json.loads(TEXT)", [""]),
        ("def f(p): p.open('w').write('a')", []),
        ("def f(x): return json.loads(json.dumps(x))", []),
    ],
)
def test_what_opens_or_parses_is_found(planted: str, found: list[str]) -> None:
    assert [name for name, _ in reading(planted)] == found


def test_changes_reach_into_json_and_stay_within_their_length() -> None:
    rng, seed = random.Random(1), b'{"a": [1, {"b": "text"}], "c": null}'
    changed = {mutate_json(seed, rng) for _ in range(300)}
    assert len(changed) > 150
    assert mutate_json(b"no JSON", rng) == b""
    assert all(len(mutate(seed, rng, (b"word",), 20)) <= 20 for _ in range(300))


def test_a_campaign_goes_on_where_it_stopped_and_tells_what_broke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, int]] = []

    def slice_(name: str, out: Path, count: int, longest: float) -> dict[str, object]:
        asked.append((name, count))
        entry: dict[str, object] = {"target": name, "inputs": min(count, 60), "seconds": 1.0}
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(entry) + "\n")
        return entry

    monkeypatch.setattr(run, "_slice", slice_)
    assert run.campaign(["pickle", "cell"], tmp_path, 100, 1.0) == 0
    assert asked == [("pickle", 100), ("cell", 100), ("pickle", 40), ("cell", 40)]
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["inputs"] == 200
    (tmp_path / "crashes" / "cell-crash-1").write_bytes(b"x")
    assert run.campaign(["pickle", "cell"], tmp_path, 130, 1.0) == 1
    assert asked[4:] == [("pickle", 30), ("cell", 30)]
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["crashes"] == ["cell-crash-1"]
    assert "| all | 260 |" in run.table(tmp_path)
