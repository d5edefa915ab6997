"""Fetching: checksums, the mirror, going on after an interruption, clear refusals. Never the real network."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from llmconfig_gym.catalog import CACHE_VARIABLE, SOURCES, suite_path
from llmconfig_gym.errors import ChecksumMismatch, SourceUnavailable, UnknownName
from llmconfig_gym.sources import download
from llmconfig_gym.sources.download import MIRROR_VARIABLE, Origin, build, fetch, source

ORIGIN = Origin("someone", "tables", "c0ffee")
CONTENT = {"data/a.csv": b"x,y\n1,2\n", "data/b.csv": b"x,y\n3,4\n"}
FILES = {path: hashlib.sha256(content).hexdigest() for path, content in CONTENT.items()}


class Web:
    """A stand-in for `requests.get`: serves what it is given, and remembers what was asked."""

    def __init__(self) -> None:
        self.pages = {ORIGIN.address + path: content for path, content in CONTENT.items()}
        self.asked: list[str] = []
        self.failures = 0
        self.online = True

    def get(self, url: str, **_: Any) -> requests.Response:
        self.asked.append(url)
        if not self.online:
            raise requests.ConnectionError("Name or service not known")
        if self.failures:
            self.failures -= 1
            raise requests.Timeout("read timed out")
        response = requests.Response()
        response.url = url
        response.status_code = 200 if url in self.pages else 404
        content = self.pages.get(url, b"404: Not Found")
        response.iter_content = lambda *_, **__: iter([content])  # type: ignore[method-assign]
        return response


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Web]:
    served = Web()
    monkeypatch.setattr(requests, "get", served.get)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    yield served
    assert all(url.startswith("https://raw.githubusercontent.com/") for url in served.asked)


def test_files_are_fetched_checked_and_kept(web: Web, tmp_path: Path) -> None:
    paths = fetch(ORIGIN, FILES, progress=False)
    assert {k: p.read_bytes() for k, p in paths.items()} == CONTENT
    assert paths["data/a.csv"] == tmp_path / "cache/downloads/someone/tables/c0ffee/data/a.csv"
    assert web.asked == [ORIGIN.address + path for path in FILES]
    fetch(ORIGIN, FILES)
    assert len(web.asked) == 2, "what was fetched and verified is not fetched again"


def test_an_interrupted_download_goes_on_where_it_stopped(web: Web) -> None:
    second = web.pages.pop(ORIGIN.address + "data/b.csv")
    with pytest.raises(SourceUnavailable, match=r"data/b\.csv could not be fetched .*answered 404"):
        fetch(ORIGIN, FILES, progress=False)
    web.pages[ORIGIN.address + "data/b.csv"] = second
    web.asked.clear()
    fetch(ORIGIN, FILES, progress=False)
    assert web.asked == [ORIGIN.address + "data/b.csv"]


def test_a_damaged_file_in_the_cache_is_fetched_again(web: Web) -> None:
    damaged = fetch(ORIGIN, FILES, progress=False)["data/a.csv"]
    damaged.write_bytes(b"x,y\n1,")
    assert fetch(ORIGIN, FILES, progress=False)["data/a.csv"].read_bytes() == CONTENT["data/a.csv"]
    assert len(web.asked) == 3


def test_transfer_errors_are_retried(web: Web) -> None:
    web.failures = download.RETRIES
    assert fetch(ORIGIN, FILES, progress=False)["data/a.csv"].read_bytes() == CONTENT["data/a.csv"]
    assert len(web.asked) == download.RETRIES + 2


def test_offline_names_file_host_and_mirror_variable_on_one_line(web: Web, tmp_path: Path) -> None:
    web.online = False
    with pytest.raises(SourceUnavailable) as problem:
        fetch(ORIGIN, FILES, progress=False)
    message = str(problem.value)
    assert "\n" not in message
    for part in (
        ORIGIN.address + "data/a.csv",
        "could not be reached",
        MIRROR_VARIABLE,
        "someone/tables/c0ffee/data/a.csv",
    ):
        assert part in message
    assert not [p for p in tmp_path.rglob("*") if p.is_file()], "nothing half-written stays"


def test_a_wrong_checksum_says_found_and_expected_and_keeps_nothing(web: Web, tmp_path: Path) -> None:
    web.pages[ORIGIN.address + "data/a.csv"] = b"<html>captive portal</html>"
    found = hashlib.sha256(b"<html>captive portal</html>").hexdigest()
    with pytest.raises(ChecksumMismatch, match=rf"{found}, expected {FILES['data/a.csv']}; .*{MIRROR_VARIABLE}"):
        fetch(ORIGIN, FILES, progress=False)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_cache_that_cannot_be_written_is_a_clear_error(web: Web, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a directory should be")
    with pytest.raises(SourceUnavailable, match=CACHE_VARIABLE):
        fetch(ORIGIN, FILES, progress=False)


@pytest.mark.parametrize("location", ["http://raw.githubusercontent.com/x", "ftp://x/y", "HTTP://x"])
def test_a_redirect_away_from_https_is_refused(location: str) -> None:
    response: Any = SimpleNamespace(headers={"location": location}, is_redirect=True, url="https://x/")
    with pytest.raises(requests.exceptions.InvalidSchema):
        download._https_only(response)


@pytest.mark.parametrize("location", ["https://other.example/x", "/elsewhere"])
def test_a_redirect_that_stays_on_https_is_followed(location: str) -> None:
    response: Any = SimpleNamespace(headers={"location": location}, is_redirect=True, url="https://x/")
    download._https_only(response)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, web: Web) -> Path:
    """A mirror with both files; the network is off."""
    web.online = False
    root = tmp_path / "mirror"
    for path, content in CONTENT.items():
        file = root / ORIGIN.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    monkeypatch.setenv(MIRROR_VARIABLE, str(root))
    return root


def test_the_mirror_is_read_in_place(copies: Path, web: Web) -> None:
    assert fetch(ORIGIN, FILES, progress=False)["data/b.csv"] == copies / ORIGIN.folder / "data/b.csv"
    assert web.asked == []


def test_the_mirror_is_checksummed_too(copies: Path) -> None:
    (copies / ORIGIN.folder / "data/b.csv").write_bytes(b"other")
    with pytest.raises(ChecksumMismatch, match=r"data/b\.csv has SHA-256 \w+, expected .*replace it"):
        fetch(ORIGIN, FILES, progress=False)


def test_a_file_missing_in_the_mirror_is_named_and_not_looked_for_elsewhere(copies: Path, web: Web) -> None:
    (copies / ORIGIN.folder / "data/b.csv").unlink()
    with pytest.raises(SourceUnavailable, match=rf"data/b\.csv cannot be read .*{MIRROR_VARIABLE}"):
        fetch(ORIGIN, FILES, progress=False)
    assert web.asked == []


def test_sources_declare_pinned_commits_and_checksums() -> None:
    for name in SOURCES:
        chosen = source(name)
        assert len(chosen.ORIGIN.commit) == 40
        assert all(len(sha) == 64 and set(sha) <= set("0123456789abcdef") for sha in chosen.FILES.values())
        assert chosen.ORIGIN.address.startswith("https://")
        card = chosen.CARD
        assert card.licence
        assert card.citation
        assert card.url.startswith("https://")
        assert card.maker.startswith(f"llmconfig_gym.sources.{name}/")
        assert card.notes


def test_unknown_sources_get_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="did you mean 'steplaw'"):
        build("step-law")


def test_build_writes_once_and_again_only_when_it_must(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    index = suite_path("steplaw") / "suite.json"
    assert build("steplaw", progress=False) == index.parent
    first = index.stat().st_ino

    monkeypatch.setenv(MIRROR_VARIABLE, "/nowhere")  # nothing to fetch when the suite is there
    build("steplaw", progress=False)
    assert index.stat().st_ino == first
    with pytest.raises(SourceUnavailable):
        build("steplaw", progress=False, replace=True)
    assert index.stat().st_ino == first, "a failed rebuild leaves the old suite"

    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    for damage in ("another maker", "a lost table", "no json"):
        if damage == "another maker":
            text = json.loads(index.read_text())
            text["card"]["maker"] = "llmconfig_gym.sources.steplaw/0"
            index.write_text(json.dumps(text))
        elif damage == "a lost table":
            next((index.parent / "tables").iterdir()).unlink()
        else:
            index.write_text("{")
        build("steplaw", progress=False)
        assert json.loads(index.read_text())["card"]["maker"] == source("steplaw").CARD.maker, damage
        assert len(list((index.parent / "tables").iterdir())) == 17, damage


def test_importing_the_sources_is_light() -> None:
    heavy = ("pooch", "requests", "pandas", "pyarrow", "scipy", "tqdm")
    names = ", ".join(f"llmconfig_gym.sources.{m}" for m in ("download", "unpickle", *SOURCES))
    code = f"import sys, {names}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
