"""High experiments are locked: training never reads their tables, and says so when asked for one."""

import ast
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from autollmresearch.cli.main import main
from autollmresearch.errors import LockedExperiment
from autollmresearch.policies.causal_lm import CausalLMPolicy
from autollmresearch.training.curate import Sample
from autollmresearch.training.recipe import read_recipe
from autollmresearch.training.unlocked import check_unlocked, open_experiment, unlocked
from llmconfig_gym.errors import UnknownName
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite, Summary

TINY: dict[str, Any] = {
    "model": {"layers": 1, "width": 32, "heads": 2, "key_heads": 2, "mlp": 64},
    "agent": {"max_new_tokens": 24},
    "prior": {"episodes": 8, "shard": 8, "texts": 8, "sft": {"batch_size": 8}},
    "curate": {"budgets": [2]},
    "simulate": {"rollouts": 2, "batch": 8},
    "distill": {"sft": {"batch_size": 8}},
    "reinforce": {"steps": 1, "samples": 2, "group": 2},
}


@pytest.fixture
def broken(toy_path: Path, tmp_path: Path) -> Path:
    """A copy of the suite whose high tables are gone or damaged."""
    root = tmp_path / "suite" / "toy"
    shutil.copytree(toy_path, root)
    high = [s.id.partition("/")[2] for s in Suite.load(root).summaries if s.level == "high"]
    assert len(high) == 4
    for name in high[:-1]:
        (root / "tables" / f"{name}.parquet").unlink()
    (root / "tables" / f"{high[-1]}.parquet").write_bytes(b"PAR1 damaged PAR1")
    return root


@pytest.fixture
def recipe(broken: Path, tmp_path: Path) -> Path:
    """A recipe that reads the suite wherever a recipe can name one."""
    data = {
        **TINY,
        "model": {**TINY["model"], "suites": [str(broken)]},
        "curate": {**TINY["curate"], "suites": [str(broken)]},
        "prior": {**TINY["prior"], "landscapes": {**TINY["prior"].get("landscapes", {}), "suites": [str(broken)]}},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Summary]:
    """Every table that is read from now on."""
    tables: list[Summary] = []
    original = Suite._read

    def spied(self: Suite, summary: Summary) -> Experiment:
        tables.append(summary)
        return original(self, summary)

    monkeypatch.setattr(Suite, "_read", spied)
    return tables


def test_all_steps_run_where_high_tables_cannot_be_read(
    broken: Path,
    recipe: Path,
    tmp_path: Path,
    read: list[Summary],
    learner_of: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    targets = [open_experiment(id_) for id_, s in unlocked(str(broken)) if s.level == "medium"]
    # a model of so few updates proposes nothing legal: one that does simulates in its place
    monkeypatch.setattr(CausalLMPolicy, "load", lambda path, **_: learner_of(targets, luck=0.5))
    arguments = ["train", "all", "--recipe", str(recipe), "--out", str(tmp_path / "run"), "--no-progress"]
    assert main([*arguments, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    steps = json.loads(out)["steps"]
    assert [s["step"] for s in steps] == ["prior", "curate", "simulate", "distill", "reinforce"]
    assert steps[1]["counts"]["by_task"] == {"pretraining": 1, "mixture": 1, "architecture": 1}
    assert {s.level for s in read} == {"low", "medium"}
    assert {s.id for s in read} == {s.id for _, s in unlocked(str(broken))}

    assert main(arguments) == 0  # everything is finished: nothing is run again
    assert capsys.readouterr().out.splitlines()[1].startswith("curate     0 s: samples 3")
    assert {s.level for s in read} == {"low", "medium"}


@pytest.mark.parametrize("step", ["curate", "all", "prior"])
def test_a_recipe_that_asks_for_a_high_experiment_is_refused_at_once(
    broken: Path,
    recipe: Path,
    tmp_path: Path,
    read: list[Summary],
    capsys: pytest.CaptureFixture[str],
    step: str,
) -> None:
    data = yaml.safe_load(recipe.read_text())
    data["curate"]["targets"] = [f"{broken}/mix-high"]
    recipe.write_text(yaml.safe_dump(data))
    assert main(["train", step, "--recipe", str(recipe), "--out", str(tmp_path / "run")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "toy/mix-high is a high-fidelity experiment, and these are for the final measurement only" in err
    assert read == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("step", ["simulate", "reinforce"])
def test_a_file_of_samples_that_asks_for_one_is_refused(
    broken: Path,
    recipe: Path,
    tmp_path: Path,
    read: list[Summary],
    tiny_tokenizer: Callable[..., Any],
    tiny_model: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    step: str,
) -> None:
    run, tokenizer = tmp_path / "run", tiny_tokenizer()
    for name in ("prior", "distill"):
        tokenizer.save_pretrained(run / name / "checkpoint")
        tiny_model(tokenizer).save_pretrained(run / name / "checkpoint")
        read_recipe(recipe).agent.save(run / name / "checkpoint")
    (run / "curate").mkdir()
    sample = Sample(f"{broken}/mix-high", (f"{broken}/mix-low",), "full", 2, 0)
    (run / "curate" / "samples.jsonl").write_text(json.dumps(asdict(sample)) + "\n")
    capsys.readouterr()
    assert main(["train", step, "--recipe", str(recipe), "--out", str(run), "--no-progress"]) == 2
    assert "toy/mix-high is a high-fidelity experiment" in capsys.readouterr().err
    assert read == []


def test_the_door(toy_path: Path, read: list[Summary]) -> None:
    assert [s.level for _, s in unlocked(str(toy_path))].count("high") == 0
    ids = [id_ for id_, _ in unlocked(str(toy_path))]
    assert f"{toy_path}/dense-1e06" in ids
    check_unlocked(ids)
    assert read == []
    with pytest.raises(LockedExperiment, match=r"train on low and medium ones \(llmconfig-gym list"):
        open_experiment(f"{toy_path}/dense-1e08")
    with pytest.raises(LockedExperiment):
        open_experiment("micro/" + next(s.id for s in Suite.load(_micro()).summaries if s.level == "high")[6:])
    for wrong in ("dense-1e08", "micro/nothing", "nowhere/x", ""):
        with pytest.raises(UnknownName):
            open_experiment(wrong)
    assert read == []


def test_no_other_module_of_training_opens_suites() -> None:
    modules = sorted(Path(unlocked.__code__.co_filename).parent.glob("*.py"))
    assert len(modules) > 20
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            names = {a.name for a in node.names} if isinstance(node, ast.Import | ast.ImportFrom) else set()
            if module.name != "unlocked.py":
                assert not names & {"load_suite", "load_experiment", "available", "Suite", "llmconfig_gym"}, module.name


def _micro() -> Path:
    from llmconfig_gym.catalog import suite_path

    return suite_path("micro")
