"""The two OptunaHub packages: laid out as the registry wants them, loaded by OptunaHub's own loader, and at work."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import optunahub
import pytest
import yaml

from llmconfig_gym.catalog import load_experiment

REGISTRY = Path(__file__).parents[3] / "integrations" / "optunahub" / "package"
PACKAGES = ("benchmarks/llmconfig_gym", "samplers/autollm")


def load(package: str) -> ModuleType:
    return optunahub.load_local_module(package, registry_root=str(REGISTRY))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_laid_out_as_the_registry_wants_it(package: str) -> None:
    assert {p.name for p in (REGISTRY / package).iterdir() if p.is_file()} == {
        "LICENSE", "README.md", "__init__.py", "example.py", "requirements.txt"
    }  # fmt: skip
    readme = (REGISTRY / package / "README.md").read_text("utf-8")
    said = re.fullmatch(r"---\n(.*?)---\n(.*)", readme, re.DOTALL)
    assert said is not None
    front = yaml.safe_load(said[1])
    assert set(front) == {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert package.split("/")[0].removesuffix("s") in front["tags"]
    assert optuna.__version__ in front["optuna_versions"]
    headings = re.findall(r"^## (.*)$", said[2], re.MULTILINE)
    assert headings == ["Abstract", "APIs", "Installation", "Example"]


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_shows_runs(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optunahub, "load_module", load)  # the registry itself is not asked
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    runpy.run_path(str(REGISTRY / package / "example.py"))
    for code in re.findall(r"```python\n(.*?)```", (REGISTRY / package / "README.md").read_text("utf-8"), re.DOTALL):
        exec(compile(code, package, "exec"), {})


@pytest.mark.parametrize(
    "experiment",
    ["micro/N25k-D1M", "micro/mixture-N25k-D524k-reasoning", "micro/architecture-w12to192-D786k-flops-w0.3"],
)
def test_a_problem_is_what_optunahub_takes_for_one(experiment: str) -> None:
    problem: Any = load("benchmarks/llmconfig_gym").Problem(experiment)
    assert isinstance(problem, optunahub.benchmarks.BaseProblem)
    study = optuna.create_study(directions=problem.directions, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(problem, n_trials=3)
    target = load_experiment(experiment)
    assert study.direction.name.lower() == target.metric.direction
    assert [e.level for e in problem.cheaper] != []
    for trial in study.trials:
        told = target.tell(target.space.from_optuna(trial.params))
        assert trial.user_attrs["outcome"] == told.to_dict()
        assert trial.value == told.value == problem.evaluate(trial.params)


def test_a_run_that_diverged_is_a_failed_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmconfig_gym.experiment import Experiment, Outcome

    problem: Any = load("benchmarks/llmconfig_gym").Problem("micro/N25k-D1M")
    monkeypatch.setattr(Experiment, "tell", lambda *_: Outcome("measured", {"lr": 1.0}))
    study = optuna.create_study(directions=problem.directions)
    study.optimize(problem, n_trials=1)
    assert study.trials[0].state == optuna.trial.TrialState.FAIL


def test_the_sampler_proposes_what_it_proposes_without_the_hub() -> None:
    from autollmresearch.evidence.records import CheapRuns
    from autollmresearch.live import AutoLLMSampler

    problem: Any = load("benchmarks/llmconfig_gym").Problem("micro/N25k-D1M")
    proposed = []
    for sampler in (AutoLLMSampler, load("samplers/autollm").AutoLLMSampler):
        evidence = [CheapRuns.of(e) for e in problem.cheaper]
        target = problem.experiment
        made = sampler(evidence, target.fidelity, policy="analyst", space=target.space, seed=3)
        study = optuna.create_study(directions=problem.directions, sampler=made)
        study.optimize(problem, n_trials=2)
        proposed.append([(t.params, t.value, t.user_attrs["reasoning"]) for t in study.trials])
    assert proposed[0] == proposed[1]
