"""README and docs keep up with the code: their Python runs, their commands are commands that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from autollmresearch.cli.main import build_parser as researcher
from llmconfig_gym.cli.main import build_parser as gym

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
IN_ORDER = ("exchange.md",)
"""Pages whose Python needs what commands made before it: a test of their own runs both."""
PARSERS = {"llmconfig-gym": gym, "autollmresearch": researcher}


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if _blocks(p, "python") and p.name not in IN_ORDER], ids=lambda p: p.name
)
def test_python_blocks_of_a_page_run_one_after_the_other(page: Path) -> None:
    code = "\n".join(_blocks(page, "python"))
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _commands() -> list[str]:
    lines = [
        line
        for page in PAGES
        for block in _blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.split(" ")[0] in PARSERS
    ]
    return sorted(set(lines))


@pytest.mark.parametrize("command", _commands())
def test_commands_in_the_pages_are_understood(command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    args = PARSERS[program]().parse_args(arguments)
    assert callable(args.run)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
