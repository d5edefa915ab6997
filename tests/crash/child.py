"""What a process that will be killed runs: a command of one of our programs. The fork server imports it once."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def run(program: str, arguments: Sequence[str], directory: Path) -> None:
    """Run a command in `directory`, with its output in `directory/output.txt`, and exit with its code."""
    from autollmresearch.cli.main import main as autollmresearch
    from llmconfig_gym.cli.main import main as llmconfig_gym

    os.chdir(directory)
    with Path("output.txt").open("a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        sys.exit({"autollmresearch": autollmresearch, "llmconfig-gym": llmconfig_gym}[program](list(arguments)))
