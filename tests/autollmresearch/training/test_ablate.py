"""Ablations: agents that differ in one part, nothing trained twice, and what is left out is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from autollmresearch.cli.main import main
from autollmresearch.episode import Trajectory
from autollmresearch.errors import InvalidRecipe
from autollmresearch.policies.causal_lm import CausalLMPolicy
from autollmresearch.training import rollouts
from autollmresearch.training.ablate import without
from autollmresearch.training.curate import read_samples
from autollmresearch.training.recipe import Recipe, read_recipe
from autollmresearch.training.step import digest
from autollmresearch.training.unlocked import open_experiment, unlocked
from autollmresearch.trajectories import read_trajectories
from llmconfig_gym.suite import Card, Suite
from llmconfig_gym.tasks import describe_task, task_of

TASKS = ("pretraining", "mixture")
STEPS = ("prior", "curate", "simulate", "distill", "reinforce")


def earned(trajectory: Sequence[Trajectory], log_metric: Callable[[str, float], None], **_: Any) -> list[float]:
    """A reward that an untrained model already earns some of, so that its weights move."""
    own = [[i for i, o in zip(t.ids(), t.own(), strict=True) if o] for t in trajectory]
    return [sum(i % 2 == 0 for i in ids) / max(len(ids), 1) for ids in own]


class Ablated:
    """A tiny run and its ablation, as the command line makes them.

    A model of so few updates writes nothing legal: one that does simulates in its place. Measured, it scores.
    """

    def __init__(self, toy: Suite, root: Path, learner_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
        suite = root / "toy"
        Suite.of("toy", Card("synthetic"), [toy.experiment(s.id) for s in toy.summaries if s.task in TASKS]).save(suite)
        recipe = {
            "model": {"layers": 1, "width": 32, "heads": 2, "key_heads": 2, "mlp": 64, "context": 2048},
            "agent": {"max_new_tokens": 16, "context": 2048, "score": True, "style": {"top": 1, "experiments": 1}},
            "prior": {
                **{"episodes": 16, "shard": 8, "texts": 8, "sft": {"batch_size": 8}},
                "landscapes": {"kinds": {"pretraining": 1, "mixture": 1}, "parameters": [1, 2], "budgets": [1, 2]},
            },
            "curate": {"budgets": [2], "suites": [str(suite)]},
            "simulate": {"rollouts": 4, "batch": 8},
            "distill": {"sft": {"batch_size": 4}},
            "reinforce": {"steps": 2, "samples": 4, "group": 2, "learning_rate": 1e-3},
        }
        self.recipe, self.run, self.out = root / "recipe.yaml", root / "run", root / "out"
        self.recipe.write_text(yaml.safe_dump(recipe))
        targets = [open_experiment(id_) for id_, s in unlocked(str(suite)) if s.level == "medium"]
        load = CausalLMPolicy.load
        monkeypatch.setattr(rollouts, "reward", earned)
        monkeypatch.setattr(
            CausalLMPolicy, "load", lambda p, **o: learner_of(targets, luck=0.5) if "temperature" in o else load(p, **o)
        )
        common = ["--recipe", str(self.recipe), "--no-progress"]
        assert main(["train", "all", *common, "--out", str(self.run)]) == 0
        self.command = ["ablate", *common, "--run", str(self.run), "--out", str(self.out), "--suite", str(suite)]
        self.command += ["--protocol", "full", "--budget", "2", "--seeds", "1", "--workers", "1"]
        assert main(self.command) == 0
        self.told = json.loads((self.out / "ablation.json").read_text())

    def models(self, name: str) -> dict[str, str]:
        """Which weights each agent of a benchmark had, by digest."""
        manifest = json.loads((self.out / "benchmark" / name / "settings.json").read_text())
        return {method: known["files"] for method, known in manifest["models"].items()}

    def manifest(self, *path: str) -> Any:
        return json.loads((self.out.joinpath(*path) / "manifest.json").read_text())


@pytest.fixture(scope="module")
def ablated(toy: Suite, tmp_path_factory: pytest.TempPathFactory, learner_of: Callable[..., Any]) -> Any:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Ablated(toy, tmp_path_factory.mktemp("ablated"), learner_of, monkeypatch)


def test_rows_are_of_checkpoints_that_differ_and_of_switched_off_parts(ablated: Ablated) -> None:
    run, out = ablated.run, ablated.out
    whole = f"agent:{run / 'reinforce' / 'checkpoint'}"
    trained = {
        "untrained": f"agent:{out / 'untrained' / 'checkpoint'}",
        "prior": f"agent:{run / 'prior' / 'checkpoint'}",
        "distilled only": f"agent:{run / 'distill' / 'checkpoint'}",
        "RL only": f"agent:{out / 'rl-only' / 'reinforce' / 'checkpoint'}",
        "whole agent": whole,
    }
    switched = {
        "whole agent, no fidelities": f"{whole},fidelity=0",
        "whole agent, no demonstrations": f"{whole},top=0",
    }
    (part,) = ablated.told["parts"]
    assert {line["name"]: line["method"] for line in part["lines"]} == {
        **trained,
        **switched,
        "copy": "copy",
        "analyst": "analyst",
    }
    models = ablated.models("parts") | ablated.models("references")
    assert len({models[method] for method in trained.values()}) == 5
    assert {models[method] for method in switched.values()} == {models[whole]}


def test_what_was_reinforced_is_what_was_not_distilled(ablated: Ablated) -> None:
    inputs = ablated.manifest("rl-only", "reinforce")["inputs"]
    assert inputs["checkpoint"]["sha256"] == digest(ablated.run / "prior" / "checkpoint")
    assert inputs["samples"]["sha256"] == digest(ablated.run / "curate" / "samples.jsonl")


@pytest.mark.parametrize("task", TASKS)
def test_what_is_left_out_is_in_no_step(ablated: Ablated, task: str) -> None:
    (other,) = set(TASKS) - {task}
    out = ablated.out / f"without-{task}"
    prior = ablated.manifest(out.name, "prior")
    rows = pd.concat([_kinds(p) for p in sorted((ablated.run / "prior" / "rows").glob("*.arrow"))])
    assert set(rows) == set(TASKS)
    assert prior["counts"]["rows"] + prior["counts"]["too_long"] == sum(rows == other)
    assert not (out / "prior" / "rows").exists(), "they are shared"
    for sample in read_samples(out / "curate" / "samples.jsonl"):
        assert {open_experiment(i).task for i in (sample.target, *sample.cheaper)} == {other}
    simulated = list(read_trajectories(out / "simulate" / "trajectories.jsonl"))
    played = list(read_trajectories(out / "reinforce" / "trajectories.jsonl"))
    assert {t.experiment.partition("/")[0] for t in played} == {"drawn", "toy"}
    for read in (t.turns[0].proposal.prompt for t in (*simulated, *played)):
        assert read.startswith(describe_task(task_of(other)))


def test_agents_are_tested_on_the_task_they_never_saw(ablated: Ablated) -> None:
    sections = {s["on"]: s for s in ablated.told["left_out"]}
    assert set(sections) == set(TASKS)
    digests = set()
    for task, section in sections.items():
        names = [line["name"] for line in section["lines"]]
        assert names == [f"trained without {task}", "whole agent", "copy", "analyst"]
        assert all(("mix" if task == "mixture" else "dense") in e for e in section["experiments"])
        digests |= set(ablated.models(f"without-{task}").values())
    assert len(digests | set(ablated.models("references").values())) == 3


def test_nothing_is_made_twice(ablated: Ablated, capsys: pytest.CaptureFixture[str]) -> None:
    def made() -> dict[Path, int]:
        files = [p for root in (ablated.run, ablated.out) for p in root.rglob("*") if p.parent != ablated.out]
        return {p: p.stat().st_mtime_ns for p in files if p.suffix in (".json", ".jsonl", ".safetensors", ".parquet")}

    before, page = made(), (ablated.out / "ablation.md").read_text()
    assert len(before) > 50
    assert main([*ablated.command, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == ablated.told
    assert made() == before
    assert (ablated.out / "ablation.md").read_text() == page
    assert main([*ablated.command, "--only", "tasks"]) == 0
    out = capsys.readouterr().out
    assert "Tasks left out" in out
    assert "What each part is worth" not in out
    assert made() == before


def test_another_recipe_or_an_unfinished_run_is_one_line(
    ablated: Ablated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(option: str, value: Path) -> str:
        command = list(ablated.command)
        command[command.index(option) + 1] = str(value)
        command[command.index("--out") + 1] = str(tmp_path / "out") if option != "--out" else str(value)
        assert main(command) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert not (tmp_path / "out").exists()
        return err

    changed = tmp_path / "recipe.yaml"
    changed.write_text(ablated.recipe.read_text().replace("steps: 2", "steps: 3"))
    assert "was made with another reinforce.steps (then 2, now 3)" in refused("--recipe", changed)
    assert "has no finished step prior; finish the run first: autollmresearch train all" in refused("--run", tmp_path)
    assert "--out must hold no comma" in refused("--out", tmp_path / "a,b")


def test_without_the_only_task_there_is_nothing(ablated: Ablated) -> None:
    recipe = read_recipe(ablated.recipe)
    assert without(recipe, "mixture").prior.learned.kinds == {"pretraining": 1.0}
    assert without(recipe, "architecture").prior == recipe.prior
    assert without(recipe, "architecture", 0.25).prior.sft == replace(recipe.prior.sft, epochs=0.25)
    pretraining = without(recipe, "mixture")
    with pytest.raises(InvalidRecipe, match="without pretraining the recipe has nothing to train on; choose --only"):
        without(pretraining, "pretraining")
    kept: Recipe = replace(recipe, curate=replace(recipe.curate, targets=pretraining.curate.targets))
    with pytest.raises(InvalidRecipe):
        without(kept, "pretraining")


def _kinds(path: Path) -> pd.Series[Any]:
    import datasets

    return pd.Series(datasets.Dataset.from_file(str(path))["kind"])
