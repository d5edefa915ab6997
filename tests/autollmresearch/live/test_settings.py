"""The YAML file of `run`: what it may say, what is filled in, and what is wrong in one line."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from autollmresearch.errors import InvalidSettings
from autollmresearch.live.settings import MetricSource, RunSettings, read_settings

MINIMAL = {
    "name": "tiny",
    "command": "python3 {here}/train.py --lr {lr}",
    "parameters": [{"kind": "real", "name": "lr", "low": 1e-4, "high": 0.1, "log": True}],
    "target": {"N": 4000},
    "budget": 2,
}


def read(tmp_path: Path, **changes: Any) -> RunSettings:
    data = {k: v for k, v in {**MINIMAL, **changes}.items() if v is not None}
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(data))
    return read_settings(path)


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    s = read(tmp_path)
    assert (s.directory, s.here) == (str(tmp_path / "runs" / "tiny"), str(tmp_path))
    assert s.storage == f"sqlite:///{tmp_path}/runs/tiny/study.db"
    assert (s.metric.name, s.metric.direction, s.source) == ("val_loss", "minimize", MetricSource())
    assert (s.timeout, s.retries, s.seed, s.phases, s.evidence) == (None, 1, 0, (), ())
    assert json.loads(json.dumps(s.to_dict()))["space"] == s.space.to_list()


def test_who_proposes_is_said_kept_or_the_default(tmp_path: Path, shipped: Path) -> None:
    """A study that was begun goes on with who began it, whatever the default has become."""
    assert read(tmp_path).policy == "researcher-mini"
    assert read_settings(tmp_path / "study.yaml", decode="greedy").policy == "researcher-mini:decode=greedy"
    begun = tmp_path / "runs" / "tiny"
    begun.mkdir(parents=True)
    (begun / "settings.json").write_text(json.dumps({"name": "tiny", "storage": "s", "policy": "copy"}))
    assert read(tmp_path).policy == "copy"
    assert read_settings(tmp_path / "study.yaml", policy="random").policy == "random"
    with pytest.raises(InvalidSettings, match="'copy' does not decode"):
        read_settings(tmp_path / "study.yaml", decode="greedy")


def test_numbers_and_paths_as_people_write_them(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        dedent("""
        name: big
        command: [python3, "{here}/train.py", "--lr={lr}", "--n={N}"]
        metric: {name: acc, direction: maximize, from: {file: out/metrics.json, key: eval.acc}}
        details: {kl: divergence}
        parameters:
          - {kind: real, name: lr, low: 1e-5, high: 1e-2, log: true}
        target: {N: 7B, tokens: 20e9}
        budget: 3
        storage: sqlite:///mine.db
        timeout: 1.5
        env: {OMP_NUM_THREADS: 1, LR: "{lr}"}
        evidence: old.csv
        fidelities:
          - {N: 100M, tokens: 1e9, budget: 8, design: policy}
          - {N: 10M, tokens: 1e9, budget: 4}
        """)
    )
    s = read_settings(tmp_path / "study.yaml", policy="copy")
    assert dict(s.target.values) == {"N": 7_000_000_000, "tokens": 20_000_000_000}
    assert s.target.cost == 6 * 7e9 * 2e10
    assert [(dict(p.fidelity.values)["N"], p.budget, p.design) for p in s.phases] == [
        (10_000_000, 4, "space-filling"),
        (100_000_000, 8, "policy"),
    ]
    assert s.space["lr"].legal() == "1.0e-5 to 0.01"
    assert s.storage == f"sqlite:///{tmp_path}/mine.db"
    assert s.evidence == (str(tmp_path / "old.csv"),)
    assert s.env == {"OMP_NUM_THREADS": "1", "LR": "{lr}"}
    assert (s.metric.direction, s.source.kind, s.source.file, s.source.key, s.policy) == (
        *("maximize", "file", "out/metrics.json", "eval.acc", "copy"),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "a study says its name"),
        ({"name": "a/b"}, "name is a word of letters, digits and . _ -; found 'a/b'"),
        ({"budgets": 3}, "did you mean 'budget'? the keys are name, directory"),
        ({"budget": 0}, "budget is a whole number of at least 1; found 0"),
        ({"budget": 2.5}, "budget is a whole number of at least 1; found 2.5"),
        ({"command": ""}, "command is empty"),
        ({"command": "python 'x {lr}"}, "command cannot be split into arguments"),
        ({"command": "python t.py"}, "command has no {lr}: what is not told to it cannot be chosen"),
        ({"command": "python t.py {lr} {sed}"}, "command asks for {sed}; did you mean {seed}?"),
        ({"env": {"A": "{nope}"}}, "command asks for {nope}"),
        ({"env": ["A"]}, "env maps names to texts"),
        ({"timeout": 0}, "timeout is a number of seconds; found 0"),
        ({"retries": -1}, "retries is a whole number of at least 0"),
        ({"target": {}}, "target maps what is scaled to a value, such as {N: 7B}"),
        ({"target": {"N": "7Q"}}, "target N: '7Q' is not a quantity"),
        ({"target": {"lr": 3}}, "lr is the name of two things"),
        ({"policy": "analist"}, "no method is called 'analist'"),
        ({"metric": {"name": "x", "direction": "up"}}, "the metric's direction is minimize or maximize; found 'up'"),
        (
            {"metric": {"from": "stderr"}},
            "metric's from is stdout, {stdout: PATTERN}, {file: NAME, key: KEY} or report",
        ),
        ({"metric": {"from": {"stdout": "loss"}}}, "metric's pattern is a regular expression with one group (...)"),
        ({"metric": {"from": {"stdout": "(loss"}}}, "is no regular expression"),
        ({"metric": {"from": {"file": "../m.json"}}}, "metric's file lies in the trial's directory"),
        ({"fidelities": [{"N": 10}]}, "a cheap fidelity says its budget"),
        ({"fidelities": [{"M": 10, "budget": 2}]}, "a cheap fidelity says what the target does (N)"),
        ({"fidelities": [{"N": 4000, "budget": 2}]}, "fidelities differ from each other and from the target"),
        ({"fidelities": [{"N": 10, "budget": 2, "design": "grid"}]}, "design is one of space-filling, policy"),
        ({"parameters": [{"kind": "reel", "name": "lr"}]}, "a parameter's kind must be one of grid, integer, real"),
        ({"parameters": []}, "parameters is a list of one or more mappings"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read(tmp_path, **changes)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "study.yaml"))


def test_a_script_beside_the_settings_is_named_by_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    with pytest.raises(InvalidSettings, match=r"names train.py, .* so write \{here\}/train.py"):
        read(tmp_path, command="python3 train.py {lr}")
    assert read(tmp_path).command[1] == "{here}/train.py"


def test_the_whole_configuration_can_be_told_as_a_file(tmp_path: Path) -> None:
    assert read(tmp_path, command="python3 {here}/train.py {config}").command[-1] == "{config}"


def test_files_that_are_no_settings(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"none.yaml cannot be read: No such file"):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "text.yaml").write_text("hello")
    with pytest.raises(InvalidSettings, match="a study maps its keys to values; found 'hello'"):
        read_settings(tmp_path / "text.yaml")
