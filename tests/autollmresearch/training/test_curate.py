"""Curation: one-to-many pairs of low and medium experiments, and never a high one."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from autollmresearch.errors import InvalidProtocol, LockedExperiment, StepProblem
from autollmresearch.training.curate import CurateSettings, Sample, open_sample, read_samples, samples
from llmconfig_gym.catalog import load_suite
from llmconfig_gym.errors import InvalidDescription, UnknownName

MICRO = CurateSettings(suites=("micro",), budgets=(3, 5), protocols=("full", "metered:10"), seeds=2)


def test_every_medium_experiment_with_each_low_one_and_with_all() -> None:
    suite = load_suite("micro")
    made = list(samples(MICRO, seed=7))
    medium = [s for s in suite.summaries if s.level == "medium"]
    assert {s.target for s in made} == {m.id for m in medium}
    for target in medium:
        low = sorted(
            (s for s in suite.summaries if s.level == "low" and s.family == target.family),
            key=lambda s: s.fidelity.cost,
        )
        contexts = [(s.id,) for s in low] + ([tuple(s.id for s in low)] if len(low) > 1 else [])
        own = [s for s in made if s.target == target.id]
        assert list(dict.fromkeys(s.cheaper for s in own)) == contexts
        assert len(own) == len(contexts) * 2 * 3  # budgets x (full, two draws of metered:10)
    assert {(s.protocol, s.seed) for s in made} == {("full", 7), ("metered:10", 7), ("metered:10", 8)}
    costs = [suite.summary(s.target).fidelity.cost for s in made]
    assert costs == sorted(costs)


def test_a_sample_opens_as_the_benchmark_would(toy_path: Path) -> None:
    made = list(samples(CurateSettings(suites=(str(toy_path),), budgets=(4,), protocols=("metered:5",))))
    assert {s.target for s in made} == {f"{toy_path}/{n}" for n in ("dense-1e07", "mix-medium", "shape-medium")}
    for sample in made:
        target, problem = open_sample(sample)
        assert target.level == "medium"
        assert problem.pool is target.pool
        assert problem.budget == 4
        assert sum(len(r.losses) for r in problem.cheaper) == 5
        assert all(r.fidelity.cost < target.fidelity.cost for r in problem.cheaper)


def test_targets_can_be_chosen(toy_path: Path) -> None:
    chosen = f"{toy_path}/mix-medium"
    made = list(samples(CurateSettings(suites=(str(toy_path),), targets=(chosen,))))
    assert {s.target for s in made} == {chosen}


def test_a_high_target_is_refused(toy_path: Path) -> None:
    settings = CurateSettings(suites=(str(toy_path),), targets=(f"{toy_path}/mix-high",))
    with pytest.raises(LockedExperiment, match="mix-high is a high-fidelity experiment"):
        list(samples(settings))


@pytest.mark.parametrize(("target", "cheaper"), [("mix-high", "mix-low"), ("mix-medium", "mix-high")])
def test_a_file_with_a_high_experiment_is_refused(toy_path: Path, tmp_path: Path, target: str, cheaper: str) -> None:
    sample = Sample(f"{toy_path}/{target}", (f"{toy_path}/{cheaper}",), "full", 3, 0)
    (tmp_path / "samples.jsonl").write_text(json.dumps(asdict(sample)) + "\n")
    for attempt in (lambda: read_samples(tmp_path / "samples.jsonl"), lambda: open_sample(sample)):
        with pytest.raises(LockedExperiment, match="mix-high is a high-fidelity experiment"):
            attempt()


def test_samples_survive_a_file(toy_path: Path, tmp_path: Path) -> None:
    made = list(samples(CurateSettings(suites=(str(toy_path),))))
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(asdict(s)) + "\n" for s in made))
    assert read_samples(tmp_path / "samples.jsonl") == made


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 is no sample"),
        ("[]", "line 1 is no sample: it maps target"),
        ('{"target": "micro/x"}', "line 1 is no sample: it lacks cheaper"),
        ('{"target": "micro/x", "cheaper": [], "protocol": "full", "budget": "x", "seed": 0}', "budget is a number"),
    ],
)
def test_a_damaged_file_is_said_to_be_one(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(StepProblem, match=message):
        read_samples(path)
    with pytest.raises(StepProblem, match="cannot be read"):
        read_samples(tmp_path / "nothing.jsonl")


def test_settings_that_make_no_sense_are_refused() -> None:
    for changes in ({"budgets": (0,)}, {"budgets": ()}, {"suites": ("micro", "micro")}, {"seeds": 0}):
        with pytest.raises(InvalidDescription):
            CurateSettings(**changes)  # type: ignore[arg-type]  # a mapping of mixed kinds
    with pytest.raises(InvalidProtocol, match="did you mean 'metered:10'"):
        list(samples(CurateSettings(protocols=("metred:3",))))
    with pytest.raises(UnknownName):
        list(samples(CurateSettings(targets=("micro/nothing",))))


def test_a_target_that_gives_no_sample_is_named(toy_path: Path) -> None:
    good = f"{toy_path}/mix-medium"
    for bad in (f"{toy_path}/mix-low", "micro/N25k-D1M"):
        with pytest.raises(StepProblem, match=f"{bad} is no medium experiment"):
            list(samples(CurateSettings(suites=(str(toy_path),), targets=(good, bad))))
