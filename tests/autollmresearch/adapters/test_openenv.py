"""The OpenEnv package: OpenEnv's own checker on the package and on a running server; what a client may not ask for.

Runs in an environment of its own (`.ci/adapters`): openenv does not install beside the project's pins.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "integrations" / "openenv"


def validate(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("openenv")), "validate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_openenv_validate_passes_the_package() -> None:
    said = validate(str(PACKAGE), "--level", "static", "--skip-build")
    assert "PASS  static.manifest" in said
    assert "Verdict: PASS" in said


def test_openenv_validate_passes_a_running_server(openenv_url: str) -> None:
    said = validate("--url", openenv_url, "--timeout", "60")
    assert "FAIL" not in said
    assert "Verdict: PASS" in said


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"experiment": "micro/N98k-D1M"}, "high-fidelity"),
        ({"experiment": "/etc/passwd"}, "no suite is called"),
        ({"experiment": "micro/none"}, "no experiment is called"),
        ({"protocol": "active:3"}, "not a protocol"),
    ],
)
def test_what_a_client_may_not_ask_for_is_refused_with_a_reason(
    openenv_url: str, asked: dict[str, str], why: str
) -> None:
    from llm_dialogue import DialogueClient

    with DialogueClient(base_url=openenv_url).sync() as client, pytest.raises(Exception, match=why):
        client.reset(seed=0, **asked)


def test_sessions_do_not_share_an_episode(openenv_url: str) -> None:
    from llm_dialogue import Answer, DialogueClient

    with DialogueClient(base_url=openenv_url).sync() as one, DialogueClient(base_url=openenv_url).sync() as two:
        first, second = one.reset(seed=1).observation.text, two.reset(seed=2).observation.text
        assert first != second
        assert one.step(Answer(text="nothing")).observation.trials_left == 2
        assert two.step(Answer(text="nothing")).observation.trials_left == 2


def test_what_the_page_shows_runs(openenv_url: str, shown: Callable[[str], str]) -> None:
    code = shown("OpenEnv").replace("http://localhost:8000", openenv_url)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
