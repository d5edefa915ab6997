"""What docs/security.md promises: nothing leads out of its place, no value meets a shell, no secret is kept or told.

Beside it: tests/test_unsafe_calls.py (nothing read is executed), tests/test_fuzz.py (nothing read breaks a reader), and
the tests of downloads and endpoints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from autollmresearch.cli.main import main
from autollmresearch.cli.report_command import page_data
from autollmresearch.dialogue import conversation
from autollmresearch.errors import InvalidSettings, StorageProblem
from autollmresearch.evidence.records import Problem
from autollmresearch.live.runner import run_study
from autollmresearch.live.settings import RunSettings, read_settings
from autollmresearch.live.storage import open_storage, without_password
from autollmresearch.live.study import LiveStudy
from autollmresearch.policy import State
from autollmresearch.secrets import without_secrets
from llmconfig_gym.catalog import SOURCES, load_suite
from llmconfig_gym.cli.main import main as gym
from llmconfig_gym.description import read_yaml
from llmconfig_gym.errors import ImportProblem, InvalidDescription, SourceFormatError, SuiteFormatError
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.files import is_file_name, is_inside
from llmconfig_gym.importing import check_name
from llmconfig_gym.pool import Pool
from llmconfig_gym.sources.download import Origin, fetch, source
from llmconfig_gym.suite import Suite
from llmconfig_gym.template import Template

HOSTILE_NAMES = [
    *(
        "../x",
        "..",
        ".",
        "a/b",
        "/etc/x",
        "\\\\host\\x",
        "a\\b",
        "C:x",
        "C:\\x",
        "",
        " ",
        "a b",
        "x\0y",
        "x\n",
        ".hidden",
    ),
    *(
        "con",
        "NUL",
        "aux.txt",
        "COM1",
        "lpt9.parquet",
        "x" * 201,
        "x.",
        "-rf",
        "~",
        "$HOME",
        "é",
        "\u202ename",
        "a:b",
        "a*",
    ),
]
HOSTILE_PATHS = ["../x", "a/../../x", "/etc/passwd", "C:x", "C:\\x", "..\\x", "\\\\host\\share\\x", "a\0b", ""]


# Names and paths.


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_what_is_more_than_a_name_is_no_file_name(name: str, tmp_path: Path) -> None:
    assert not is_file_name(name)
    with pytest.raises(ImportProblem):
        check_name(name)
    with pytest.raises(InvalidSettings):
        _settings(tmp_path, name=name)


@pytest.mark.parametrize("name", ["a", "micro", "N98k-D1M", "run_1.v2+x", "x" * 200, "console", "com10", "a..b"])
def test_names_that_people_use_are_file_names(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=ascii)
def test_a_path_that_leads_out_is_refused(path: str, tmp_path: Path) -> None:
    assert not is_inside(path)
    with pytest.raises(InvalidSettings):
        _settings(tmp_path, metric={"name": "loss", "from": {"file": path}})


@pytest.mark.parametrize("path", ["a", "a/b.csv", "./a", "a b/c"])
def test_a_path_that_stays_is_taken(path: str) -> None:
    assert is_inside(path)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite on disk that a test may break."""
    micro = load_suite("micro")
    path = tmp_path / "place" / "mine"
    renamed = [_renamed(micro, id_) for id_ in micro.ids[:2]]
    Suite.of("mine", micro.card, renamed).save(path)
    return path


def _renamed(micro: Suite, id_: str) -> Any:
    from dataclasses import replace

    return replace(micro.experiment(id_), id=f"mine/{id_.partition('/')[2]}", suite="mine")


def _index(suite: Path, change: Callable[[dict[str, Any]], None]) -> None:
    index = json.loads((suite / "suite.json").read_text())
    change(index)
    (suite / "suite.json").write_text(json.dumps(index))


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_no_id_in_a_suite_leads_out_of_it(suite: Path, name: str) -> None:
    _index(suite, lambda index: index["experiments"][0].update(id=f"mine/{name}"))
    with pytest.raises(SuiteFormatError):
        Suite.load(suite)


@pytest.mark.parametrize("name", [n for n in HOSTILE_NAMES if "/" not in n], ids=ascii)
def test_no_name_of_a_suite_is_a_path(suite: Path, name: str) -> None:
    def rename(index: dict[str, Any]) -> None:
        index["name"] = name
        for entry in index["experiments"]:
            entry["id"] = f"{name}/{entry['id'].partition('/')[2]}"

    _index(suite, rename)
    with pytest.raises(SuiteFormatError):
        Suite.load(suite)


def test_a_link_out_of_a_suite_is_not_followed_but_a_suite_may_itself_be_linked(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(suite)
    first = Suite.load(tmp_path / "linked")
    assert len(first.experiment(first.ids[0]).pool) > 0
    table = suite / "tables" / f"{first.ids[0].partition('/')[2]}.parquet"
    table.rename(tmp_path / "outside.parquet")
    table.symlink_to(tmp_path / "outside.parquet")
    with pytest.raises(SuiteFormatError, match="leads out of the suite"):
        Suite.load(suite).experiment(first.ids[0])
    (suite / "suite.json").rename(tmp_path / "outside.json")
    (suite / "suite.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(SuiteFormatError, match="leads out of the suite"):
        Suite.load(suite)


def test_replacing_a_linked_suite_leaves_what_the_link_leads_to(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(suite)
    before = (suite / "suite.json").read_bytes()
    changed = load_suite("micro")
    changed.save(tmp_path / "linked", replace=True)
    assert (suite / "suite.json").read_bytes() == before
    assert not (tmp_path / "linked").is_symlink()


@pytest.mark.parametrize(
    "name", ["../../etc/x", "/", "x\0y", "y" * 5000, "a/b", "C:\\x"], ids=["up", "root", "nul", "long", "sub", "drive"]
)
def test_a_study_of_any_name_is_looked_up_and_touches_no_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status", name]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../../etc/x", "x\0y", "y" * 5000, "C:\\x"], ids=["up", "nul", "long", "drive"])
def test_a_suite_or_experiment_of_any_name_is_looked_up(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert gym(["show", name]) == 2
    assert gym(["list", name]) == 2
    assert "Traceback" not in capsys.readouterr().err


# Commands.

VALUES = [
    "; touch planted",
    "$(touch planted)",
    "`touch planted`",
    "&& touch planted",
    "| touch planted",
    "a\ntouch planted",
]
VALUES += [
    "> planted",
    "'; touch planted; '",
    '"; touch planted; "',
    "{seed}",
    "$HOME",
    "*",
    "~",
    "%PATH%",
    "\\",
    "é\u202e",
]
ECHO = "import json, sys; print(json.dumps(sys.argv[1:])); print('val_loss=1.0')"


def _settings(place: Path, **changes: Any) -> RunSettings:
    data: dict[str, Any] = {
        "name": "mine",
        "command": [sys.executable, "-S", "-c", ECHO, "{way}"],
        "metric": {"name": "val_loss"},
        "parameters": [{"kind": "categorical", "name": "way", "choices": VALUES}],
        "target": {"N": 1000},
        "budget": 2,
        "policy": "random",
    }
    (place / "study.yaml").write_text(json.dumps(data | changes), encoding="utf-8")
    return read_settings(place / "study.yaml")


class Kept:
    """Progress, kept."""

    def __init__(self) -> None:
        self.said = ""

    def line(self, text: str) -> None:
        self.said += text + "\n"

    tick = line


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_a_value_is_one_argument_whatever_it_holds(value: str) -> None:
    template = Template.parse("train --way={way} {way} 'a b'", "command")
    assert template.fill({"way": value}) == ["train", f"--way={value}", value, "a b"]


def test_run_passes_no_value_through_a_shell(tmp_path: Path) -> None:
    hostile = VALUES[:7]
    choices = [{"kind": "categorical", "name": "way", "choices": hostile}]
    study = run_study(_settings(tmp_path, parameters=choices, budget=len(hostile)), Kept())
    logs = sorted((tmp_path / "runs/mine/trials").glob("target-*/log.txt"))
    seen = [json.loads(log.read_text(encoding="utf-8").splitlines()[0]) for log in logs]
    assert seen == [[t.config["way"]] for t in study.trials()]
    assert sorted(way for [way] in seen) == sorted(hostile)
    assert not list(tmp_path.rglob("planted"))


# Aliases, which make gigabytes of a few lines.


def test_aliases_cannot_grow_without_end(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{'bcdefghij'[i]}: &{'bcdefghij'[i]} [{', '.join(['*' + 'abcdefghi'[i]] * 9)}]" for i in range(9)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(InvalidDescription, match="its aliases stand for more than"):
        read_yaml(path, "a recipe", "abcdefghij")
    path.write_text("a: &a [*a]")
    with pytest.raises(InvalidDescription, match="its aliases"):
        read_yaml(path, "a recipe", "a")
    path.write_text("a: &x {lr: 1}\nb: *x\nc: {<<: *x, n: 2}")
    assert read_yaml(path, "a recipe", "abc") == {"a": {"lr": 1}, "b": {"lr": 1}, "c": {"lr": 1, "n": 2}}


@pytest.mark.parametrize(
    "text", ["a: !!bool x", "a: !!int ''", "a: !!timestamp x", "a: [[" * 200, "a: !!python/name:os.system ''"]
)
def test_yaml_that_nobody_writes_is_refused_with_a_typed_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(InvalidDescription, match="cannot be read as YAML"):
        read_yaml(path, "a recipe", "a")


# Downloads.


def test_every_public_table_is_pinned_and_fetched_over_https() -> None:
    for name in SOURCES:
        chosen = source(name)
        assert chosen.ORIGIN.address.startswith("https://")
        assert len(chosen.ORIGIN.commit) == 40
        assert chosen.FILES
        assert all(is_inside(path) and len(bytes.fromhex(digest)) == 32 for path, digest in chosen.FILES.items())


class Plain(Origin):
    """A repository that is not asked for over https."""

    @property
    def address(self) -> str:
        return f"http://example.org/{self.folder}/"


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    ("origin", "files"),
    [
        (Plain("a", "b", "c"), {"x.csv": "0" * 64}),
        (Origin("a", "b", "c"), {"x.csv": ""}),
        (Origin("a", "b", "c"), {"x.csv": "md5:0"}),
        (Origin("a", "b", "c"), {"x.csv": "0" * 63}),
        (Origin("a", "b", "c"), {"../x.csv": "0" * 64}),
        (Origin("a", "b", "c"), {"/x.csv": "0" * 64}),
    ],
)
def test_an_entry_without_hash_or_https_is_not_fetched(
    origin: Origin, files: Mapping[str, str], mirrored: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("asked for")

    monkeypatch.setattr(import_module("requests"), "get", never)
    monkeypatch.setenv("AUTOLLMRESEARCH_CACHE", str(tmp_path))
    monkeypatch.delenv("AUTOLLMRESEARCH_MIRROR", raising=False)
    if mirrored:
        monkeypatch.setenv("AUTOLLMRESEARCH_MIRROR", str(tmp_path))
    with pytest.raises(SourceFormatError, match="is not fetched"):
        fetch(origin, files, progress=False)


# Secrets.

KEY, TOKEN, PASSWORD = "sk-planted-0123456789", "planted-token-abcdef", "planted-pw-42"
SECRETS = (KEY, TOKEN, PASSWORD)
CRASHES = """
import os, sys
key, token, db = (os.environ[name] for name in ("OPENAI_API_KEY", "MY_TOKEN", "DB"))
sys.exit("no access with " + key + " or " + token + " at " + db)
"""


def _leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def _kept(root: Path, but: tuple[str, ...] = ()) -> Iterator[tuple[Path, str]]:
    """Every file below a directory, as text."""
    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.name not in but):
        yield path, path.read_bytes().decode("latin-1")


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("DB", f"postgresql://me:{PASSWORD}@host/db")


def test_no_secret_is_in_what_run_keeps_or_says_or_in_the_next_prompt(planted: None, tmp_path: Path) -> None:
    settings = _settings(
        tmp_path,
        command=[sys.executable, "-S", "-c", CRASHES, "{way}"],
        parameters=[{"kind": "categorical", "name": "way", "choices": ["a", "b", "c"]}],
        env={"MY_TOKEN": TOKEN},
    )
    progress = Kept()
    study = run_study(settings, progress)
    failures = [t.failure for t in study.trials()]
    assert all("no access with [OPENAI_API_KEY] or [MY_TOKEN] at postgresql://me:[DB]@host/db" in f for f in failures)
    assert not _leaks(progress.said)
    for path, text in _kept(tmp_path / "runs", but=("log.txt",)):  # what the command prints is its own affair
        assert not _leaks(text), path
    assert not _leaks("\n".join(m["content"] for m in conversation(_state(study))))


TELLS_ALL = """
import os, sys
key, token, db = (os.environ[name] for name in ("OPENAI_API_KEY", "MY_TOKEN", "DB"))
print("key " + key + " token " + token + " db " + db)
print("val_loss=1.0")
if sys.argv[1] != "a":
    sys.exit("refused: " + key + " " + token + " " + db)
"""


def test_no_secret_is_in_a_page_or_in_json_of_a_study_whose_command_prints_them(
    planted: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of each trial holds them, for it is what the command printed; nothing that is made to be shown does."""
    _settings(
        tmp_path,
        command=[sys.executable, "-S", "-c", TELLS_ALL, "{way}"],
        parameters=[{"kind": "categorical", "name": "way", "choices": ["a", "b"]}],
        env={"MY_TOKEN": TOKEN},
    )
    place = str(tmp_path / "runs" / "mine")
    page = tmp_path / "page.html"
    told = []
    for command in (
        ["run", str(tmp_path / "study.yaml"), "--format", "json"],
        ["status", place],
        ["status", place, "--format", "json"],
        ["report", place, "--out", str(page)],
        ["report", place, "--out", str(page), "--format", "json"],
    ):
        assert main(command) == 0
        told += [*capsys.readouterr()]
    told += [page.read_text("utf-8"), json.dumps(page_data([place], None))]  # the latter is what `view` serves
    logs = sorted((tmp_path / "runs/mine/trials").glob("*/log.txt"))
    assert len(logs) == 2
    assert all(_leaks(log.read_text()) == [*SECRETS] for log in logs)
    assert any("refused: [OPENAI_API_KEY] [MY_TOKEN]" in text for text in told)
    assert "[OPENAI_API_KEY]" in told[-1], "the page says why a trial failed"
    assert not [text for text in told if _leaks(text)]


def _state(study: LiveStudy) -> State:
    spec = study.spec
    pool = Pool.from_configs(spec.space, [{"way": w} for w in "abc"])
    problem = Problem(spec.task, spec.fidelity, spec.metric, pool, (), 5, None)
    told = tuple(Outcome("measured", t.config, None, {}, f"the run failed: {t.failure}.") for t in study.trials())
    return State(problem, told)


def test_the_command_gets_the_environment_that_no_file_holds(tmp_path: Path) -> None:
    show = "import os; print(os.environ['MY_TOKEN']); print('val_loss=1')"
    command = [sys.executable, "-S", "-c", show, "{way}"]
    run_study(_settings(tmp_path, command=command, env={"MY_TOKEN": TOKEN}, budget=1), Kept())
    assert TOKEN in (tmp_path / "runs/mine/trials/target-0000/log.txt").read_text()
    assert not _leaks((tmp_path / "runs/mine/trials/target-0000/job.json").read_text())


@pytest.mark.parametrize(
    "env", [[TOKEN], TOKEN, {"A": [TOKEN]}, {"A": {"B": TOKEN}}], ids=["list", "text", "inner", "map"]
)
def test_an_environment_of_the_wrong_kind_is_not_repeated(env: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="env maps names to texts; found a") as problem:
        _settings(tmp_path, env=env)
    assert not _leaks(str(problem.value))


URLS = [
    f"postgresql://me:{PASSWORD}@127.0.0.1:1/studies",
    f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:1/studies",
    f"postgresql://me@127.0.0.1:1/studies?password={PASSWORD}",
    f"mysql://me:{PASSWORD}@host/db",
    f"postgresql://me:{PASSWORD}@host:port/db",
    f"//me:{PASSWORD}@host",
    f"nonsense?password={PASSWORD}",
]


@pytest.mark.parametrize("url", URLS)
def test_a_storage_is_shown_kept_and_complained_of_without_its_password(url: str, tmp_path: Path) -> None:
    assert not _leaks(without_password(url))
    with pytest.raises(StorageProblem) as problem:
        open_storage(url)
    assert not _leaks(str(problem.value))
    settings = _settings(tmp_path, storage=url)
    assert settings.storage == url, "what opens it is as it was written"
    assert not _leaks(json.dumps(settings.to_dict()))


def test_secrets_are_told_by_their_variables_name(planted: None) -> None:
    assert without_secrets(f"401: {KEY} at {PASSWORD}") == "401: [OPENAI_API_KEY] at [DB]"
    assert without_secrets("short", {"A_KEY": "short"}) == "short", "x or EMPTY are no secrets"
    assert (
        without_secrets(f"{TOKEN}-more {TOKEN}", {"A_TOKEN": TOKEN, "B_TOKEN": f"{TOKEN}-more"})
        == "[B_TOKEN] [A_TOKEN]"
    )
    assert without_secrets("home is /root/me", {"HOME": "/root/me"}) == "home is /root/me"


# Dependencies.


@pytest.mark.parametrize(
    ("pins", "says"),
    [
        ("# a comment\nA_package==1.0\nother==2.0\n", "all 3 installed distributions are pinned"),
        ("a-package==1.0\n", "other 2.0 is installed, nothing is pinned"),
        ("a-package==1.0\nother==2.1\n", "other 2.0 is installed, 2.1 is pinned"),
    ],
)
def test_what_is_installed_and_not_pinned_is_found(
    pins: str,
    says: str,
    tmp_path: Path,
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = script(".ci/pinned.py")
    (tmp_path / "constraints.txt").write_text(pins)
    installed = {"A.Package": "1.0+cpu", "other": "2.0", "pip": "9"}
    found = [SimpleNamespace(metadata={"Name": n}, version=v) for n, v in installed.items()]
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "distributions", lambda: found)
    assert module.main() == (0 if says.startswith("all") else 1)
    assert capsys.readouterr().out.strip() == says
