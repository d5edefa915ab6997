"""`view`: the page follows the study; only this machine, by this name, is answered; Ctrl-C stops it."""

import contextlib
import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from autollmresearch.cli.main import main
from autollmresearch.cli.report_command import page_data
from autollmresearch.errors import StorageProblem
from autollmresearch.live.study import LiveStudy
from autollmresearch.report import server as served
from autollmresearch.report.server import PageServer, serve

PATIENCE = 60.0
"""Seconds for something to happen; it never takes that long unless something is wrong."""


class Stopped(Exception):
    """What the tests stop a server with."""


@pytest.fixture
def address(study: LiveStudy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the study is served."""
    stop = Event()

    def read() -> dict[str, Any]:
        if stop.is_set():
            raise Stopped
        return page_data([study.name], study.url)

    def run() -> None:
        with contextlib.suppress(Stopped):
            serve(server, read)

    monkeypatch.setattr(served, "PAUSE", 0.1)
    server = PageServer(0, read())
    thread = Thread(target=run)
    thread.start()
    yield server.address
    stop.set()
    thread.join(timeout=PATIENCE)
    assert not thread.is_alive()


def ask(address: str, path: str, host: str | None = None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a request that names this host."""
    port = int(address.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_a_trial_that_is_told_appears_while_the_page_is_open(
    browser: webdriver.Chrome, address: str, study: LiveStudy
) -> None:
    browser.get(address)
    WebDriverWait(browser, PATIENCE).until(lambda b: "2 told" in b.find_element(By.ID, "status").text)
    status = browser.find_element(By.ID, "status")
    assert status.text == "Live: 3 of 3 trials proposed, 2 told."
    summary = browser.find_element(By.CSS_SELECTOR, ".turn details[open] summary")
    summary.click()
    study.tell(2, 1.875)
    WebDriverWait(browser, PATIENCE).until(lambda b: status.text == "Live: 3 of 3 trials proposed, 3 told.")
    last = browser.find_elements(By.CSS_SELECTOR, ".turn")[-1]
    assert "val_loss 1.875" in last.text
    assert "complete" in str(last.get_attribute("class"))
    assert "Best so far: trial 2, 1.875" in browser.find_element(By.TAG_NAME, "main").text
    assert summary.find_element(By.XPATH, "..").get_attribute("open") is None, "what was folded stays folded"


def test_only_this_machine_by_this_name_is_answered(address: str, study: LiveStudy) -> None:
    for host in ("evil.example", "127.0.0.1", "127.0.0.1:1", f"evil.example:{address.rpartition(':')[2]}"):
        assert ask(address, "/data", host)[0] == 403
    status, headers, body = ask(address, "/data")
    assert status == 200
    assert json.loads(body)["runs"][0]["name"] == study.name
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert ask(address, "/../etc/passwd")[0] == 404


def test_what_cannot_be_read_for_a_moment_stays_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "PAUSE", 0)
    answers: list[dict[str, Any] | Exception] = [StorageProblem("locked"), Stopped()]

    def read() -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    server = PageServer(0, {"runs": [1]})
    with pytest.raises(Stopped):
        serve(server, read)
    assert server.data == {"runs": [1], "problem": "locked"}


def test_the_command_says_where_and_ctrl_c_stops_it(study: LiveStudy) -> None:
    command = [sys.executable, "-m", "autollmresearch", "view", study.name, "--storage", study.url, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("big: http://127.0.0.1:")
        assert ask(line.split()[1], "/data")[0] == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "\nstopped\n")


def test_a_port_that_is_none_or_taken_is_one_line(
    study: LiveStudy, capsys: pytest.CaptureFixture[str], tmp_path: Path, make_study: Callable[..., LiveStudy]
) -> None:
    command = ["view", study.name, "--storage", study.url, "--no-browser", "--port"]
    assert main([*command, "70000"]) == 2
    assert "--port is between 0 (a free one) and 65535, found 70000" in capsys.readouterr().err
    with PageServer(0, {}) as taken:
        assert main([*command, str(taken.server_port)]) == 2
    assert "Address already in use" in capsys.readouterr().err
