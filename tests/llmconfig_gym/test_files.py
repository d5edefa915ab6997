"""Files and directories are whole or absent, whatever interrupts their writing."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llmconfig_gym.files import whole_directory, whole_file, write_text

INTERRUPTIONS = [ValueError("bad row"), OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit(1)]


def names(directory: Path) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))


def test_a_file_appears_under_its_name_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.csv"
    with whole_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert (temporary.parent, temporary.suffix) == (path.parent, ".csv")
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["deep", "deep/results.csv"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("problem", INTERRUPTIONS, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_is_as_it_was_when_the_block_raises(tmp_path: Path, problem: BaseException, before: str | None) -> None:
    path = tmp_path / "results.csv"
    if before is not None:
        path.write_text(before)

    def write() -> None:
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise problem

    with pytest.raises(type(problem)):
        write()
    assert names(tmp_path) == ([] if before is None else ["results.csv"])
    assert before is None or path.read_text() == before


def test_a_file_cannot_take_the_place_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "results", "text")
    assert names(tmp_path) == ["results"]


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "größer\n")
    write_text(tmp_path / "a.txt", "größer als\n")
    assert (tmp_path / "a.txt").read_bytes() == "größer als\n".encode()


def test_a_directory_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "suite"
    for content in ("first", "second"):
        with whole_directory(path) as temporary:
            (temporary / content).write_text(content)
    assert names(tmp_path) == ["deep", "deep/suite", "deep/suite/second"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.parametrize("problem", INTERRUPTIONS, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("before", [False, True])
def test_a_directory_is_as_it_was_when_the_block_raises(tmp_path: Path, problem: BaseException, before: bool) -> None:
    path = tmp_path / "suite"
    if before:
        path.mkdir()
        (path / "old").touch()

    def write() -> None:
        with whole_directory(path) as temporary:
            (temporary / "half").touch()
            raise problem

    with pytest.raises(type(problem)):
        write()
    assert names(tmp_path) == (["suite", "suite/old"] if before else [])


def test_the_old_directory_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "suite"
    path.mkdir()
    (path / "old").touch()
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if (self / "new").exists():
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)

    def write() -> None:
        with whole_directory(path) as temporary:
            (temporary / "new").touch()

    with pytest.raises(OSError, match="Input/output"):
        write()
    assert names(tmp_path) == ["suite", "suite/old"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
@pytest.mark.parametrize("kind", ["whole_file", "whole_directory"])
def test_a_killed_process_leaves_what_was_there(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    with whole_directory(path) if kind == "whole_directory" else whole_file(path) as temporary:
        (temporary / "old" if kind == "whole_directory" else temporary).write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; import llmconfig_gym.files as files\n"
        f"with files.{kind}(Path(sys.argv[1])) as temporary:\n"
        "    (temporary / 'new' if temporary.is_dir() else temporary).write_text('new')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert result.returncode == -signal.SIGKILL
    assert (path / "old" if kind == "whole_directory" else path).read_text() == "old"
    assert not (path / "new").exists()
