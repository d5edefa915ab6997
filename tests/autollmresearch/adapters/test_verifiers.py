"""The verifiers taskset: vf-validate's own verdict, and which episodes there are.

Runs in an environment of its own (`.ci/adapters`): verifiers does not install beside the project's pins.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from verifiers.v1.utils.loaders import taskset_class, taskset_config_type

from autollmresearch.training.unlocked import unlocked

ID = "llm-dialogue-v1"


def test_vf_validate_finds_every_task_valid(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("vf-validate")), ID, "--taskset.seeds", "1", "-o", str(tmp_path)]
    command += ["--runtime.type", "subprocess", "--rich", "false"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("*/summary.json")
    summary = json.loads(path.read_text("utf-8"))
    targets = [s for _, s in unlocked("micro") if s.level == "medium"]
    assert summary["checks"]["gold"]["valid"] == summary["checks"]["noop"]["valid"] == summary["total"] == len(targets)


def test_the_check_finds_a_prompt_that_is_not_the_episodes() -> None:
    import asyncio

    task = next(iter(taskset_class(ID)(taskset_config_type(ID)(id=ID))))
    assert asyncio.run(task.validate(None))
    assert not asyncio.run(task.with_data(prompt="another").validate(None))
    assert not asyncio.run(task.with_data(seed=5).validate(None))


def test_episodes_are_of_medium_targets_alone_and_differ_by_seed() -> None:
    tasks = list(taskset_class(ID)(taskset_config_type(ID)(id=ID, seeds=2, budget=1)))
    known = {id_: s.level for id_, s in unlocked("micro")}
    assert {known[t.data.experiment] for t in tasks} == {"medium"}
    assert len({t.data.prompt for t in tasks}) == len(tasks)
    assert "Budget: 1 trial." in tasks[0].data.prompt


def test_what_the_page_shows_runs(shown: Callable[[str], str]) -> None:
    done = subprocess.run([sys.executable, "-c", shown("verifiers")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Budget: 3 trials." in done.stdout
