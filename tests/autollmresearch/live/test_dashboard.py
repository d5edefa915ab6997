"""optuna-dashboard opens a study and shows why each trial was proposed, in a real browser."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from autollmresearch.live import AutoLLMSampler
from autollmresearch.policy import Proposal, State

PATIENCE = 60.0
"""Seconds for a program to start or a page to fill; it never takes that long unless something is wrong."""

SAID = "Because run {n} of the small model was best; <b>not a tag</b> & 2 < 3."


@dataclass(frozen=True)
class Script:
    """A policy whose proposals are written down beforehand."""

    proposals: tuple[Proposal, ...]

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self.proposals[len(state.trials)] for state in states]


@pytest.fixture
def study(
    tmp_path: Path,
    opened: Callable[..., RDBStorage],
    valley_space: dict[str, BaseDistribution],
) -> optuna.Study:
    """Three finished trials in a SQLite file, each with a reason of its own."""
    configs = [{"batch": 16, "lr": 1e-3}, {"batch": 32, "lr": 1e-3}, {"batch": 64, "lr": 1e-3}]
    proposals = tuple(Proposal(c, SAID.format(n=n), mean=2.5, sd=0.25) for n, c in enumerate(configs))
    sampler = AutoLLMSampler(policy=Script(proposals), space=valley_space, seed=0)
    storage = opened(f"sqlite:///{tmp_path / 'studies.db'}")
    study = optuna.create_study(study_name="shown", storage=storage, sampler=sampler)
    for value in (3.0, 2.0, 1.0):
        study.tell(study.ask(valley_space), value)
    return study


@pytest.fixture
def dashboard(study: optuna.Study, tmp_path: Path) -> Iterator[str]:
    """The address of optuna-dashboard, serving that file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "optuna-dashboard"
    command = [program, f"sqlite:///{tmp_path / 'studies.db'}", "--port", str(port), "--server", "wsgiref", "--quiet"]
    with (tmp_path / "dashboard.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + PATIENCE
            while process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(URLError), urlopen(f"http://127.0.0.1:{port}/api/meta", timeout=5):
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/dashboard/studies/{study._study_id}"
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def test_the_page_of_each_trial_shows_its_reason(browser: webdriver.Chrome, dashboard: str) -> None:
    for number in range(3):
        browser.get(f"{dashboard}/trials?numbers={number}")
        note = SAID.format(n=number)
        shown = WebDriverWait(browser, PATIENCE).until(lambda b, said=note: _text_of_note(b, said))
        assert "Expected: 2.5 ± 0.25" in shown
        assert "proposed by Script" in shown
    if kept := os.environ.get("AUTOLLMRESEARCH_SCREENSHOTS"):  # for whoever wants to look at it
        browser.save_screenshot(str(Path(kept) / "dashboard.png"))


def _text_of_note(browser: webdriver.Chrome, said: str) -> str:
    """The page's text once it shows what was said; empty before."""
    text = browser.find_element(By.TAG_NAME, "body").text
    return text if said in text else ""
