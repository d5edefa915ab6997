"""`run`: real commands, really killed. Nothing is lost, nothing is run twice, and the budget holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.errors import StudyProblem
from autollmresearch.live.export import phases_of
from autollmresearch.live.runner import run_study
from autollmresearch.live.settings import read_settings
from autollmresearch.live.study import LiveStudy
from llmconfig_gym import process
from llmconfig_gym.files import only_one
from llmconfig_gym.process import LOCK, alive

MAIN = "from autollmresearch.cli.main import main; raise SystemExit(main())"
PATIENCE = 120.0


class Lines:
    """Progress, kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def tick(self, text: str) -> None:
        pass


def run(path: Path) -> tuple[LiveStudy, list[str]]:
    progress = Lines()
    return run_study(read_settings(path), progress), progress.lines


def history(study: LiveStudy) -> list[list[tuple[Any, ...]]]:
    """All that happened, phase by phase, without when."""
    parts = [*phases_of(study), study]
    return [[(t.number, t.status, t.config, t.value, t.failure, t.reasoning) for t in p.trials()] for p in parts]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


@contextmanager
def runner(path: Path) -> Iterator[subprocess.Popen[str]]:
    """`autollmresearch run` as a process, whose first command has begun and waits."""
    (path.parent / "wait").touch()
    argv = [sys.executable, "-W", "error", "-c", MAIN, "run", str(path)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: (path.parent / "begun").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()
        (path.parent / "wait").unlink(missing_ok=True)


def job(lab: Any) -> Path:
    """The directory of the first trial's job."""
    return Path(lab.root / "runs/tiny/trials/cheap1-0000")


@pytest.fixture
def uninterrupted(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], list[list[tuple[Any, ...]]]]:
    """What the same study is when nothing interferes."""

    def make() -> list[list[tuple[Any, ...]]]:
        other = type(lab)(tmp_path_factory.mktemp("undisturbed"))
        other.settings = dict(lab.settings)
        return history(run(other.write())[0])

    return make


def test_cheap_runs_come_first_and_become_evidence(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.extra("print(os.environ['WHO'], os.environ['AUTOLLMRESEARCH_REPORT'])")
    study, lines = run(lab.write(env={"WHO": "{trial} {seed}"}, fidelities=[{"N": 1000, "budget": 3}]))
    cheap, target = history(study)
    assert [t[:2] for t in cheap] == [(0, "complete"), (1, "complete"), (2, "complete")]
    assert [t[:2] for t in target] == [(0, "complete"), (1, "complete")]
    calls = lab.calls()
    assert [c[0] for c in calls] == ["cheap1-0000", "cheap1-0001", "cheap1-0002", "target-0000", "target-0001"]
    assert [c[1:] for c in calls] == [
        [t[2]["lr"], t[2]["way"], n] for t, n in zip([*cheap, *target], [1000] * 3 + [4000] * 2, strict=True)
    ]
    assert {c[2] for c in calls} == {"plain", "; touch pwned $(touch pwned)"}
    assert not list(lab.root.rglob("pwned"))
    (known,) = study.spec.cheaper
    assert known.losses.tolist() == [t[3] for t in cheap]
    assert known.fidelity.values == {"N": 1000}
    directory = lab.root / "runs/tiny/trials/target-0001"
    assert (directory / "log.txt").read_text().splitlines()[0] == f"1 0 {directory / 'report.json'}"
    assert json.loads((directory / "config.json").read_text()) == {
        "config": target[1][2],
        "fidelity": {"N": 4000},
        "seed": 0,
    }
    assert [line.partition(" ")[0] for line in lines if "val_loss" in line] == ["[cheap1", "[cheap1", "[cheap1"] + [
        "[target"
    ] * 2
    again, lines = run(lab.write())
    assert (history(again), lines, lab.calls()) == (history(study), [], calls)


def test_every_failure_is_a_trial_with_its_reason(lab: Any) -> None:
    lab.extra("""
        number = int(os.getcwd()[-1])
        if number == 0: sys.exit("no luck")
        if number == 1: print("val_loss=nan"); os._exit(0)
        if number == 2: os._exit(0)
        if number == 3: print("torch.OutOfMemoryError: CUDA out of memory.", flush=True); os._exit(1)
        if number == 4: time.sleep(600)
        if number == 5: os.kill(os.getpid(), 9)
    """)
    study, lines = run(lab.write(fidelities=[], budget=7, timeout=1.5))
    (trials,) = history(study)
    assert [t[1] for t in trials] == ["failed"] * 6 + ["complete"]
    assert [t[4].partition(":")[0] for t in trials[:6]] == [
        *("exit code 1", "diverged", "it printed no val_loss=...", "out of memory", "timeout", "out of memory"),
    ]
    assert trials[0][4] == "exit code 1: no luck"
    assert len(lab.calls()) == 7
    assert sum("failed: " in line for line in lines) == 6


def test_failed_cheap_runs_are_bad_evidence_not_none(lab: Any) -> None:
    lab.extra("if os.getcwd().endswith('cheap1-0001'): sys.exit(1)")
    study, _ = run(lab.write())
    (cheap, _) = history(study)
    assert study.spec.cheaper[0].losses.tolist() == [cheap[0][3], cheap[0][3]]


def test_when_every_cheap_run_fails_the_expensive_ones_are_not_wasted(lab: Any) -> None:
    lab.extra("if 'cheap' in os.getcwd(): sys.exit('no such data set')")
    path = lab.write()
    for _ in range(2):
        with pytest.raises(StudyProblem) as caught:
            run(path)
        assert str(caught.value).startswith(
            "all 2 cheap runs at N 1000 (1000 relative cost) failed, the last with 'exit code 1: no such data set' (see"
        )
        assert "cheap1-0001), so no expensive trial is started; mend the command" in str(caught.value)
    assert len(lab.calls()) == 2


def test_files_of_earlier_runs_are_evidence_too(lab: Any) -> None:
    rows = [f"{n},{lr},plain,{2 + i * 0.1}" for n in ("500", "1k") for i, lr in enumerate(("1e-3", "1e-2", "5e-2"))]
    (lab.root / "old.csv").write_text("\n".join(["params,lr,way,val_loss", *rows]))
    study, lines = run(lab.write(evidence=["old.csv"]))
    assert [(dict(r.fidelity.values), len(r.losses)) for r in study.spec.cheaper] == [
        ({"N": 500}, 3),
        ({"N": 1000}, 3),
        ({"N": 1000}, 2),
    ]
    assert lines[0] == "note: extrapolating: N 4000 is 4x beyond the largest run, 1000"
    (lab.root / "old.csv").unlink()
    again, lines = run(lab.write())
    assert lines == []
    assert len(again.spec.cheaper) == 3


def test_a_design_of_the_policys_own(lab: Any) -> None:
    study, _ = run(lab.write(fidelities=[{"N": 500, "budget": 2}, {"N": 1000, "budget": 2, "design": "policy"}]))
    first, second, _ = history(study)
    assert [t[5] for t in first] == ["", ""]
    assert [t[5] for t in second] == ["drawn at random"] * 2
    assert [p.spec.policy for p in phases_of(study)] == ["space-filling", "random"]
    assert [len(p.spec.cheaper) for p in phases_of(study)] == [0, 1]


def test_a_larger_budget_goes_on_and_other_settings_do_not(lab: Any) -> None:
    study, _ = run(lab.write(budget=1))
    before = history(study)
    study, _ = run(lab.write(budget=2))
    assert history(study)[0] == before[0]
    assert history(study)[1][:1] == before[1]
    assert len(lab.calls()) == 4
    with pytest.raises(StudyProblem, match="holds tiny with other settings: seed was 0 and is 1; put them back"):
        run(lab.write(seed=1))
    _, lines = run(lab.write(seed=0, timeout=30))
    assert lines == ["note: timeout has changed since the last run of this study"]
    assert len(lab.calls()) == 4


def test_a_program_that_does_not_exist_costs_nothing(lab: Any) -> None:
    command = lab.settings["command"]
    path = lab.write(command=["no-such-program", "{lr}", "{way}"])
    for _ in range(2):
        with pytest.raises(StudyProblem, match=r"no-such-program cannot be run: .*; mend the command"):
            run(path)
    study, _ = run(lab.write(command=command))
    assert [[t[1] for t in part] for part in history(study)] == [["complete"] * 2] * 2
    assert len(lab.calls()) == 4


def test_a_study_in_which_somebody_else_works_is_left_alone(lab: Any) -> None:
    path = lab.write()
    (lab.root / "runs/tiny").mkdir(parents=True)
    with (
        only_one(lab.root / "runs/tiny", AssertionError()),
        pytest.raises(StudyProblem, match=r"another process is running tiny in .*; wait for it, or end it"),
    ):
        run(path)
    assert lab.calls() == []


def test_a_storage_in_which_another_directory_is_run(lab: Any) -> None:
    url = f"sqlite:///{lab.root / 'shared.db'}"
    run(lab.write(storage=url, fidelities=[], budget=1))
    with pytest.raises(StudyProblem, match=r"tiny in sqlite.* is run in .*/runs/tiny, not in .*/elsewhere"):
        run(lab.write(directory="elsewhere"))


def test_a_study_may_be_moved_as_a_whole(lab: Any) -> None:
    before = history(run(lab.write(budget=1))[0])
    place = lab.root.with_name("elsewhere")
    lab.root.rename(place)
    moved = type(lab)(place)
    moved.settings = lab.settings
    again, lines = run(moved.write(budget=2))
    assert history(again)[0] == before[0]
    assert lines[0] == "note: budget has changed since the last run of this study"
    assert len(moved.calls()) == 4


def test_results_of_another_trial_are_not_taken_for_its_own(lab: Any) -> None:
    run(lab.write(fidelities=[], budget=1))
    (lab.root / "runs/tiny/study.db").unlink()
    (lab.root / "runs/tiny/trials/target-0000/config.json").write_text('{"config": {"lr": 1}}')
    with pytest.raises(StudyProblem, match="target-0000 holds files of another trial; move it away"):
        run(lab.write())
    (lab.root / "runs/tiny/settings.json").write_text("{")
    with pytest.raises(StudyProblem, match=r"settings.json is damaged; restore it"):
        run(lab.write())


def test_kill_of_the_runner_in_mid_trial_loses_and_repeats_nothing(
    lab: Any, uninterrupted: Callable[[], list[list[tuple[Any, ...]]]]
) -> None:
    path = lab.write()
    with runner(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert alive(job(lab))
        second = subprocess.Popen(
            [sys.executable, "-c", MAIN, "run", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert second.stderr is not None
        lines = [second.stderr.readline(), second.stderr.readline()]
        assert "it still runs; waiting for it" in lines[1]
        with pytest.raises(StudyProblem, match="another process is running tiny"):
            run(path)
        (lab.root / "wait").unlink()
        out, _ = second.communicate()
        assert second.returncode == 0
        assert out.startswith("tiny: 2 of 2 trials are done\nbest: trial ")
    study, lines = run(path)
    assert lines == []
    assert history(study) == uninterrupted()
    assert len(lab.calls()) == 4


def test_a_trial_that_was_cut_off_is_run_again_once_with_the_same_configuration(
    lab: Any, uninterrupted: Callable[[], list[list[tuple[Any, ...]]]]
) -> None:
    path = lab.write()
    with runner(path) as process:
        process.kill()
        process.wait()
        for pid in (int((job(lab) / LOCK).read_text().split()[0]), int((lab.root / "pid").read_text())):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(job(lab)))
    study, lines = run(path)
    assert history(study) == uninterrupted()
    assert "it was cut off; the same configuration is started again" in lines[1]
    calls = lab.calls()
    assert calls[0] == calls[1]
    assert len(calls) == 5
    assert (job(lab) / "log.1.txt").exists()


def test_a_trial_that_is_cut_off_again_and_again_fails(lab: Any) -> None:
    path = lab.write(retries=0, fidelities=[], budget=1)
    with runner(path) as process:
        process.kill()
        process.wait()
        directory = lab.root / "runs/tiny/trials/target-0000"
        for pid in (int((directory / LOCK).read_text().split()[0]), int((lab.root / "pid").read_text())):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(directory))
    study, _ = run(path)
    ((trial,),) = history(study)
    assert trial[1::3] == ("failed", "cut off once: its process vanished without a word")
    assert len(lab.calls()) == 1


def test_a_command_that_ends_while_it_is_looked_at_is_not_run_again(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    last_job = process.last_job

    def slow(directory: Path) -> process.Job | None:
        """Looks at the job, and is interrupted for as long as its command takes."""
        until(lambda: not (directory / process.LOCK).exists() or not alive(directory))
        return last_job(directory)

    monkeypatch.setattr(process, "last_job", slow)
    study, lines = run(lab.write())
    assert [t.status for t in study.trials()] == ["complete", "complete"]
    called = [c[0] for c in lab.calls()]
    assert sorted({*called}) == sorted(called)
    assert "cut off" not in " ".join(lines)


def test_a_command_that_empties_its_directory_is_not_started_again_and_again(lab: Any) -> None:
    lab.extra("""
        import shutil
        for path in pathlib.Path.cwd().iterdir():
            path.unlink()
        time.sleep(1)
    """)
    with pytest.raises(StudyProblem, match="emptied that directory"):
        run(lab.write())
    assert len(lab.calls()) == 1


def test_a_keeper_that_does_not_start_costs_no_trial(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_START", "raise SystemExit(1)")
    with pytest.raises(StudyProblem, match="its keeper did not start"):
        run(lab.write())
    monkeypatch.undo()
    study, _ = run(lab.write())
    assert [t.status for t in study.trials()] == ["complete", "complete"]


def test_a_timeout_that_is_taken_away_while_its_command_runs(lab: Any) -> None:
    path = lab.write(timeout=1.0)
    with runner(path) as running:
        running.kill()
        running.wait()
        until(lambda: not alive(job(lab)))
    study, _ = run(lab.write(timeout=None))
    assert [t.failure for t in phases_of(study)[0].trials()][:1] == ["timeout: not over after 1 s"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_command_and_says_how_to_go_on(
    lab: Any, number: signal.Signals, uninterrupted: Callable[[], list[list[tuple[Any, ...]]]]
) -> None:
    path = lab.write()
    with runner(path) as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=60)  # a signal that is ignored must not stop the tests for ever
        assert process.returncode == 130
        assert "[cheap1 1/2] is being stopped ..." in err
        assert err.endswith("interrupted. Nothing is lost: run the same command again to go on.\n")
        assert not alive(job(lab))
        with pytest.raises(ProcessLookupError):
            os.kill(int((lab.root / "pid").read_text()), 0)
    study, lines = run(path)
    assert history(study) == uninterrupted()
    assert not any("cut off" in line for line in lines)
    assert len(lab.calls()) == 5
