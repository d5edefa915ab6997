"""The whole pipeline, as its recipe and command have it: five steps, and an agent that has learned something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autollmresearch.methods import make_policy
from autollmresearch.policies.causal_lm import CausalLMPolicy
from autollmresearch.training.evaluate import evaluate
from autollmresearch.training.recipe import read_recipe
from autollmresearch.training.scratch import make_model
from autollmresearch.trajectories import read_trajectories

RECIPE = Path(__file__).parents[3] / "recipes" / "cpu-smoke.yaml"
STEPS = ("prior", "curate", "simulate", "distill", "reinforce")
SEEDS = range(48)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of `autollmresearch train all --recipe recipes/cpu-smoke.yaml`."""
    out = tmp_path_factory.mktemp("runs") / "smoke"
    command = [sys.executable, "-m", "autollmresearch", "train", "all", "--recipe", str(RECIPE), "--out", str(out)]
    done = subprocess.run([*command, "--no-progress", "--format", "json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def test_every_step_leaves_its_files_and_a_manifest(run: Path) -> None:
    manifests = {step: json.loads((run / step / "manifest.json").read_text()) for step in STEPS}
    assert all(m["seconds"] >= 0 and m["inputs"] is not None for m in manifests.values())
    print({step: m["seconds"] for step, m in manifests.items()})
    for step in ("prior", "distill", "reinforce"):
        assert {"model.safetensors", "agent.json"} <= {p.name for p in (run / step / "checkpoint").iterdir()}
        assert not list((run / step).rglob("*.bin")), "no pickles"
        lines = [json.loads(line) for line in (run / step / "metrics.jsonl").read_text().splitlines()]
        assert lines
    counts = manifests["simulate"]["counts"]
    assert counts["kept"] + counts["continued"] + counts["failed"] == manifests["curate"]["counts"]["samples"]
    assert len(list(read_trajectories(run / "simulate" / "trajectories.jsonl"))) == counts["trajectories"] > 0


def test_the_trained_model_beats_the_untrained_one_on_held_out_tasks(run: Path) -> None:
    recipe = read_recipe(RECIPE)
    trained = CausalLMPolicy.load(str(run / "reinforce" / "checkpoint"))
    untrained = CausalLMPolicy(
        make_model(recipe.model, trained.tokenizer, recipe.seed).eval(), trained.tokenizer, trained.settings
    )
    peers = (untrained, trained, make_policy("random"))
    before, after, random = (evaluate(p, recipe.prior.landscapes, SEEDS, budget=3) for p in peers)
    print(f"untrained: {before}\ntrained: {after}\nrandom: {random}")
    assert before.invalid == 1, "random weights write no configuration"
    assert after.invalid < 0.2
    assert after.reward > before.reward + 0.4
    assert after.reward - before.reward > 4 * np.hypot(after.reward_error, before.reward_error)
    gain = random.regret[0] - after.regret[0]  # to write configurations is not enough: the first is well chosen
    assert gain > 0.1
    assert gain > 2 * np.hypot(random.regret_error[0], after.regret_error[0])
