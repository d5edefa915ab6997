"""Two processes under `accelerate launch` train as one process with twice the batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

BOTH = Path(__file__).with_name("both.py")
LAUNCH = (
    "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no "
    "--dynamo_backend no --main_process_port 0 --num_cpu_threads_per_process 1"
)
"""`--multi_gpu` asks for torch's launcher; where there is no GPU, the processes talk by gloo."""


def curve(out: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    keys = ("loss", "grad_norm", "reward", "valid", "entropy", "num_tokens", "completions/mean_length")
    return [{k: float(line[k]) for k in keys if k in line} for line in lines if "loss" in line]


def test_the_same_curves(tmp_path: Path, tiny_tokenizer: Callable[..., Any], tiny_model: Callable[..., Any]) -> None:
    from safetensors.torch import load_file

    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path / "model")
    tiny_model(tokenizer).save_pretrained(tmp_path / "model")
    rng = np.random.default_rng(0)
    lengths = rng.integers(8, 40, size=12)
    rows = [
        {"ids": rng.integers(4, len(tokenizer), size=n).tolist(), "own": (rng.random(n) < 0.5).tolist()}
        for n in lengths.tolist()
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    for name, launch in (("one", ""), ("two", LAUNCH)):
        command = [sys.executable, *launch.split(), str(BOTH), str(tmp_path / "model"), str(tmp_path / "rows.json")]
        done = subprocess.run([*command, str(tmp_path / name)], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads((tmp_path / name / "processes.json").read_text()) == (2 if launch else 1)
    for part, updates in (("sft", 6), ("grpo", 4)):
        one, two = curve(tmp_path / "one" / part), curve(tmp_path / "two" / part)
        assert len(one) == len(two) == updates
        for a, b in zip(one, two, strict=True):
            assert a.keys() == b.keys() >= {"loss", "grad_norm"}
            assert a == pytest.approx(b, rel=1e-3, abs=1e-5)
        assert len({round(a["loss"], 6) for a in one}) > 2, "a curve that moves"
        weights = [load_file(tmp_path / n / part / "checkpoint" / "model.safetensors") for n in ("one", "two")]
        for key, w in weights[0].items():
            torch.testing.assert_close(weights[1][key], w, rtol=1e-3, atol=1e-4, msg=f"{part} {key}")
    played = [(tmp_path / n / "grpo" / "trajectories.jsonl").read_text().splitlines() for n in ("one", "two")]
    tokens = [[[t["tokens"] for t in json.loads(line)["turns"]] for line in lines] for lines in played]
    assert [[t["wrote"] for t in turns] for turns in tokens[0]] == [[t["wrote"] for t in turns] for turns in tokens[1]]
