"""docs/live.md does what it says: its files are written, its commands run, one after the other, in one directory."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from autollmresearch.cli.main import main

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_from_its_first_command_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    shutil.copy(ROOT / "examples" / "tiny_lm" / "train.py", tmp_path)
    for name, content in zip(("runs.csv",), _blocks("csv"), strict=True):
        (tmp_path / name).write_text(content)
    for name, content in zip(("space.yaml", "study.yaml"), _blocks("yaml"), strict=True):
        (tmp_path / name).write_text(content)
    commands = [line for block in _blocks("sh") for line in block.splitlines() if line.startswith("autollmresearch ")]
    assert len(commands) == 11
    said = []
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, (command, capsys.readouterr())
        said.append(capsys.readouterr().out)
    assert "trial 1 of 3, not kept" in said[0]
    assert "trial 0 of big (1 of 3 used, 2 left after it)" in said[1]
    assert "trial 1 of big (2 of 3 used, 1 left after it)" in said[3]
    assert "out of memory" in said[5]
    assert "tiny: 2 of 2 trials are done" in said[7]
    assert "8 trials of tiny written to tiny.jsonl" in said[9]
    assert "from:     8 cheaper runs of tiny.jsonl at 3 scales, for N 16000, tokens 1.6e5" in said[10]
