"""A fork server, from which a command starts in milliseconds, so that kills hit its work and not its imports."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

HEAVY = ("autollmresearch.training.reinforce", "optuna", "datasets", "trl", "transformers", "pandas", "scipy.stats")

Start = Callable[[list[str], Path], BaseProcess]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a command, program first, in a directory, as a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)  # the child finds it by this name
        child = importlib.import_module("child")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["child", *HEAVY])
        running: list[BaseProcess] = []

        def start(command: list[str], directory: Path) -> BaseProcess:
            process = context.Process(target=child.run, args=(command[0], command[1:], directory))
            process.start()
            running.append(process)
            return process

        start(["llmconfig-gym", "list"], tmp_path_factory.mktemp("first")).join()  # until all is imported
        yield start
        for process in running:
            process.kill()
            process.join()
