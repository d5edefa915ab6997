"""A step is finished once, goes on where it was interrupted, and never mixes files of two runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.errors import StepProblem
from autollmresearch.training.step import digest, one_process, read_manifest, run_step
from llmconfig_gym.files import append_lines, read_lines


def work(out: Path) -> dict[str, Any]:
    """Three lines, one at a time; what an earlier call made is kept."""
    done = read_lines(out / "made.txt") if (out / "made.txt").is_file() else []
    (out / "working").mkdir(exist_ok=True)
    for i in range(len(done), 3):
        append_lines(out / "made.txt", [str(i)])
    return {"made": 3, "found": len(done)}


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """The input of the step: what another step left."""
    path = tmp_path / "earlier" / "checkpoint"
    path.mkdir(parents=True)
    (path / "weights").write_text("1 2 3")
    return path


def run(tmp_path: Path, given: Path, settings: Mapping[str, Any] | None = None, seed: int = 0) -> dict[str, Any]:
    return run_step(
        tmp_path, "late", work, settings=settings or {"late": {"a": (1, 2)}}, inputs={"in": given}, seed=seed
    )


def test_the_manifest_says_what_made_the_files(tmp_path: Path, given: Path) -> None:
    made = run(tmp_path, given, seed=5)
    assert made == json.loads((tmp_path / "late" / "manifest.json").read_text()) == read_manifest(tmp_path / "late")
    assert made["step"] == "late"
    assert made["seed"] == 5
    assert made["settings"] == {"late": {"a": [1, 2]}}
    assert made["inputs"] == {"in": {"path": "earlier/checkpoint", "sha256": digest(given)}}
    assert made["counts"] == {"made": 3, "found": 0}
    assert made["seconds"] >= 0
    assert made["version"]
    assert sorted(p.name for p in (tmp_path / "late").iterdir()) == [".lock", "made.txt", "manifest.json"]


def test_a_finished_step_is_not_run_again(tmp_path: Path, given: Path) -> None:
    first = run(tmp_path, given)
    (tmp_path / "late" / "made.txt").unlink()
    assert run(tmp_path, given) == first
    assert not (tmp_path / "late" / "made.txt").exists()


def test_an_interrupted_step_goes_on(tmp_path: Path, given: Path) -> None:
    def dies(out: Path) -> dict[str, Any]:
        append_lines(out / "made.txt", ["0"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_step(tmp_path, "late", dies, settings={"late": {"a": [1, 2]}}, inputs={"in": given}, seed=0)
    assert read_manifest(tmp_path / "late") is None
    assert run(tmp_path, given)["counts"] == {"made": 3, "found": 1}


@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_seeds_or_inputs_are_refused(tmp_path: Path, given: Path, finished: bool) -> None:
    run(tmp_path, given, {"late": {"a": 1, "b": {"c": 2}}})
    if not finished:
        manifest = tmp_path / "late" / "manifest.json"
        manifest.rename(manifest.with_name("started.json"))
    for settings, seed, message in (
        ({"late": {"a": 1, "b": {"c": 3}}}, 0, r"another late.b.c \(then 2, now 3\)"),
        ({"late": {"a": 1, "b": {"c": 2}, "d": 4}}, 0, r"another late.d \(then None, now 4\)"),
        ({"late": {"a": 1}}, 0, r"another late.b \(then {'c': 2}, now None\)"),
        ({"late": {"a": 1, "b": {"c": 2}}}, 1, r"another seed \(then 0, now 1\)"),
    ):
        with pytest.raises(StepProblem, match=message):
            run(tmp_path, given, settings, seed)
    (given / "weights").write_text("1 2 4")
    with pytest.raises(StepProblem, match=r"another inputs.in.sha256 .*choose another --out, or remove"):
        run(tmp_path, given, {"late": {"a": 1, "b": {"c": 2}}})


def test_a_missing_input_names_the_step_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(
        StepProblem, match="prior/checkpoint does not exist; make it first: autollmresearch train prior"
    ):
        run(tmp_path, tmp_path / "prior" / "checkpoint")


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_manifest_is_said_to_be_one(tmp_path: Path, given: Path, text: str) -> None:
    run(tmp_path, given)
    (tmp_path / "late" / "manifest.json").write_text(text)
    with pytest.raises(StepProblem, match=r"manifest.json is damaged.*remove .*late to run the step again"):
        run(tmp_path, given)


def test_two_at_once_do_not_share_a_directory(tmp_path: Path, given: Path) -> None:
    def asks(out: Path) -> dict[str, Any]:
        with pytest.raises(StepProblem, match="another process is at work in"):
            run(tmp_path, given)
        return {}

    run_step(tmp_path, "late", asks, settings={"late": {"a": [1, 2]}}, inputs={"in": given}, seed=0)


def test_only_the_first_of_processes_that_share_the_work_writes(
    tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert run(tmp_path, given)["counts"]["made"] == 3
    assert not (tmp_path / "late" / "manifest.json").exists()


def test_a_step_of_one_process_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    one_process("simulate")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(StepProblem, match="simulate runs in one process, found 4; run it without accelerate launch"):
        one_process("simulate")


def test_a_directory_s_digest_is_of_its_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = digest(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, second, digest(tmp_path)}) == 3
