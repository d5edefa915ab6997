"""docs/agents.md: its commands for a server do what it says, one after the other, in one directory."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from autollmresearch.baselines.llm.named import OPTIMISERS
from autollmresearch.cli.main import main
from autollmresearch.policies.named import MODELS

DOCS = Path(__file__).parents[3] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}[^\n]*\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_commands_for_a_server_from_first_to_last(
    server: Any,
    says: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text(blocks("live.md", "csv")[0])
    (tmp_path / "space.yaml").write_text(blocks("live.md", "yaml")[0])
    server.script = [says('<think>as told</think><config>{"lr": 2e-4, "batch_size": 256}</config>')]
    text = "\n".join(blocks("agents.md", "sh")).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith("autollmresearch ")]
    *commands, optimisers = [line for line in lines if "endpoint:" in line or " qwen" in line]
    assert len(commands) == 4
    said = []
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, (command, capsys.readouterr())
        said.append(capsys.readouterr().out)
    frame = pd.read_parquet(tmp_path / "runs" / "qwen" / "results.parquet")
    assert (frame.groupby("method")["read_tokens"].max() > 0).to_dict() == {
        "copy": False,
        "endpoint:Qwen/Qwen3-4B-Instruct-2507": True,
    }
    assert "tokens read / proposal" in said[0]
    assert "why:      as told" in said[1]
    assert "Evidence: " in server.seen[-1]["messages"][-1]["content"]
    assert "trial 1 of qwen (2 of 3 used, 1 left after it)" in said[3]
    assert main(shlex.split(optimisers)[1:]) == 0, capsys.readouterr()
    assert "opro:endpoint:Qwen/Qwen3-4B-Instruct-2507" in capsys.readouterr().out


def test_every_option_is_explained() -> None:
    page = (DOCS / "agents.md").read_text(encoding="utf-8")
    table = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    for options in (*(model.options for model in MODELS.values()), *(own for _, own in OPTIMISERS.values())):
        for option in options:
            assert f"`{option}`" in table, option
