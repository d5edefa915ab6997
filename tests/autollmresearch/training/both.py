"""A few updates of SFT and of GRPO, as a program that `accelerate launch` can run: `both.py MODEL ROWS OUT`.

The rewards are made up (an untrained model earns none), and one of two samples earns the same on all its trajectories,
so that where two processes share a step, one of them has nothing to learn from.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autollmresearch.dialogue import Style
from autollmresearch.episode import Trajectory
from autollmresearch.evidence.records import Problem
from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy
from autollmresearch.policies.chat import Encoded
from autollmresearch.training.reinforce import ReinforceSettings, train
from autollmresearch.training.sft import SftSettings, fine_tune
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

SFT = SftSettings(epochs=2, batch_size=4, learning_rate=3e-3, log_every=1, warmup=0.0)
GRPO = ReinforceSettings(
    steps=2, samples=2, group=4, epochs=2, micro_batch=2, temperature=0.9, learning_rate=3e-3, loss="grpo"
)


def open_slot(slot: int) -> tuple[Experiment, Problem]:
    """Two targets in turn."""
    import numpy as np

    pool = Pool.from_configs(Space((Grid("x", (1, 2, 3)),)), [{"x": x} for x in (1, 2, 3)])
    fidelity = Fidelity({"parameters": 1e6}, 1.0)
    values = np.array([3.0, 1.0, 2.0])
    id_ = f"lines/{slot % 2}"
    e = Experiment(id_, "lines", "other", "line", "medium", fidelity, Metric("loss", "minimize"), pool, values)
    return e, Problem(e.task, e.fidelity, e.metric, e.pool, (), 1 + slot % 2)


def earned(trajectory: Sequence[Trajectory], log_metric: Callable[[str, float], None], **_: Any) -> list[float]:
    own = [[i for i, o in zip(t.ids(), t.own(), strict=True) if o] for t in trajectory]
    shares = [sum(i % 2 == 0 for i in ids) / max(len(ids), 1) for ids in own]
    return [0.3 if t.experiment == "lines/0" else s for t, s in zip(trajectory, shares, strict=True)]


def run(model_path: Path, rows_path: Path, out: Path) -> None:
    """Both, each from the same model."""
    from accelerate import PartialState
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from autollmresearch.training import rollouts

    tokenizer = AutoTokenizer.from_pretrained(model_path)
    rows = [Encoded(**r) for r in json.loads(rows_path.read_text())]
    model = AutoModelForCausalLM.from_pretrained(model_path)
    fine_tune(model, tokenizer, rows, SFT, out / "sft", progress=False)
    (out / "processes.json").write_text(json.dumps(PartialState().num_processes))
    model = AutoModelForCausalLM.from_pretrained(model_path)
    rollouts.reward = earned
    train(
        model,
        tokenizer,
        open_slot,
        lambda m: CausalLMPolicy(m, tokenizer, AgentSettings(Style(), 12, 900), 0.9),
        GRPO,
        out / "grpo",
        progress=False,
    )


if __name__ == "__main__":
    run(*map(Path, sys.argv[1:]))
