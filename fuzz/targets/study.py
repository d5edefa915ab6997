"""The YAML file of a study (`run`) and of a sweep (`collect --command`): metric, spaces, scales, commands."""

from __future__ import annotations

import json

from autollmresearch.live.settings import read_settings
from fuzz.scratch import put, scratch
from fuzz.targets.recipe import WORDS as YAML_WORDS
from fuzz.targets.recipe import too_slow
from llmconfig_gym.collect.sweep_file import read_sweep

RUNS, LONGEST = 20_000, 1200
WORDS = (
    *YAML_WORDS,
    b"{here}",
    b"{lr}",
    b"{config}",
    b"../",
    b"stdout",
    b"report",
    b"sqlite:///",
    b"(",
    b")+",
    b"kind: real",
)


def seeds() -> list[bytes]:
    lr = {"kind": "real", "name": "lr", "low": "1e-4", "high": 0.1, "log": True}
    kinds = [
        lr,
        {"kind": "integer", "name": "layers", "low": 1, "high": 9},
        {"kind": "categorical", "name": "act", "choices": ["gelu", "relu"]},
        {"kind": "simplex", "name": "mix", "components": ["web", "code"]},
    ]
    study = {
        "name": "mine",
        "command": "python train.py --lr {lr} --n {N} {config}",
        "metric": {"name": "val_loss", "direction": "minimize", "from": {"file": "m.json", "key": "a.b"}},
        "parameters": kinds,
        "target": {"N": "7B", "tokens": 2e10},
        "fidelities": [{"N": "100M", "tokens": 1e9, "budget": 8, "design": "policy"}],
        "budget": 3,
        "policy": "analyst",
        "env": {"OMP_NUM_THREADS": 1},
        "timeout": 60,
        "evidence": ["runs.csv"],
        "storage": "sqlite:///a.db",
    }
    sweep = {
        "task": "pretraining",
        "metric": "val_loss",
        "details": {"train_loss": "of the last batch"},
        "parameters": [{"kind": "grid", "name": "lr", "levels": [1e-3, "3e-3"], "log": True}],
        "fidelities": [{"level": "low", "steps": 100}, {"level": "high", "steps": 1000, "cost": 10, "cost_unit": "h"}],
    }
    plain = b"name: a\ncommand: x {lr}\nparameters:\n  - {kind: real, name: lr, low: 1e-4, high: 1}\n"
    plain += b"target: {N: 7B}\nbudget: 3\n"
    return [json.dumps(study).encode(), json.dumps(sweep).encode(), plain]


def read(data: bytes) -> object:
    if too_slow(data):
        return None
    path = put("study.yaml", data)
    return (
        read_sweep(path)
        if b"level" in data and b"budget" not in data
        else (read_settings(path, policy="analyst"), scratch())
    )
