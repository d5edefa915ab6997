"""docs/exchange.md does what it says: its commands and its Python run, one after the other, in one directory."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autollmresearch.cli.main import main as researcher
from llmconfig_gym.cli.main import main as gym

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")
PROGRAMS = {"llmconfig-gym": gym, "autollmresearch": researcher}
WANDB = '''"""A stand-in for W&B's client, which needs its server: the attributes of a run that the page uses."""
from types import SimpleNamespace


class Api:
    def runs(self, path):
        sweep = [(n, lr) for n in (25e6, 1e8) for lr in (1e-3, 3e-3, 1e-2)]
        return [
            SimpleNamespace(
                name=f"run-{i}",
                state="finished",
                config={"n_params": n, "lr": lr},
                summary={"eval/loss": 3 - i / 10, "_wandb": {"runtime": 9}},
            )
            for i, (n, lr) in enumerate(sweep)
        ]
'''


def test_the_page_from_its_first_block_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{tmp_path}")
    Path("wandb.py").write_text(WANDB, encoding="utf-8")
    with zipfile.ZipFile(ROOT / "tests/llmconfig_gym/importing/trackers/tracked.zip") as tracked:
        tracked.extractall()
    said = []
    for language, block in re.findall(r"```(sh|python)\n(.*?)```", PAGE, re.DOTALL):
        if language == "python":
            done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            arguments += ["--workers", "1"] if arguments[0] == "benchmark" else []  # no processes of other directories
            assert PROGRAMS[program](arguments) == 0, (line, capsys.readouterr())
            said.append(capsys.readouterr().out)
    assert "config.lr" in said[2]
    assert "written to tracked" in said[3]
    assert "dry run" in said[4] or "lr: grid" in said[4]
    assert "from:     5 cheaper runs of mlruns at 2 scales" in said[5]
    assert "from:     6 cheaper runs of wandb.json at 2 scales" in said[7]
    assert "from:     12 cheaper runs of optuna.db at 2 scales" in said[9]
    assert "complete" in said[-1] or "finished" in said[-1]
    assert len(said) == 13
