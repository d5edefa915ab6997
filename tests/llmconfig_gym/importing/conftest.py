"""Example files as people have them: a sweep, two W&B exports, JSONL from a GRPO run, Parquet, a mixture table."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

WriteCsv = Callable[..., Path]

SCALES = (("25M", 5e8), ("100M", 2e9), ("400M", 8e9))
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
BATCHES = (16, 32, 64, 128)


def loss(lr: float, batch: float, scale: int, seed: int = 0) -> float:
    """A valley in lr and batch that deepens with scale; seeds differ by a hundredth."""
    return 3 - 0.3 * scale + 0.1 * math.log(lr / 1e-3) ** 2 + 0.05 * math.log(batch / 64) ** 2 + 0.01 * seed


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Writes a header and rows to a CSV file and gives its path."""

    def write(header: Sequence[str], rows: Sequence[Sequence[object]], name: str = "runs.csv") -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def sweep(write_csv: WriteCsv) -> Path:
    """lr x batch at three sizes, two seeds of lr 1e-3. Line 8 has no loss, line 10 a word for lr, line 22 blew up."""
    rows: list[list[object]] = []
    for scale, (size, tokens) in enumerate(SCALES):
        for lr in RATES:
            for batch in BATCHES:
                for seed in range(2 if lr == 1e-3 else 1):
                    value = loss(lr, batch, scale, seed)
                    rows.append([f"run{len(rows)}", size, tokens, lr, batch, seed, value, value - 0.1, "adamw"])
    rows[6][6] = "nan"
    rows[8][3] = "auto"
    rows[20][6] = "inf"
    return write_csv(["run", "N", "tokens", "lr", "batch_size", "seed", "val_loss", "train_loss", "optimizer"], rows)


@pytest.fixture
def wandb(write_csv: WriteCsv) -> Path:
    """What W&B's documented export script writes: config and summary as printed dictionaries, and the run's name."""
    rows: list[list[object]] = [
        [
            str({"_runtime": 12.5, "_timestamp": 1.7e9, "_step": 100, "eval/loss": loss(lr, 32, scale), "lr": 0.0}),
            str({"lr": lr, "optimizer": opt, "betas": [0.9, 0.95], "model_size": size, "amp": True}),
            f"run-{size}-{lr}-{opt}",
            "finished",
        ]
        for scale, (size, _) in enumerate(SCALES)
        for lr in RATES
        for opt in ("adamw", "lion")
    ]
    rows[3][0], rows[3][3] = str({"_runtime": 1.0, "eval/loss": float("nan"), "lr": 0.0}), "crashed"
    rows[4][3] = "running"
    return write_csv(["summary", "config", "name", "State"], rows, "wandb.csv")


@pytest.fixture
def wandb_flat(write_csv: WriteCsv) -> Path:
    """The same kind of export with one column per key."""
    header = ["Name", "State", "ID", "config.lr", "config.batch_size", "config.n_params", "config.output_dir"]
    header += ["summary.val_loss", "summary.train_loss", "summary.lr", "summary.grad_norm", "_runtime", "_timestamp"]
    rows = [
        [
            "r",
            "finished",
            f"id{i}",
            lr,
            batch,
            size,
            f"/runs/{i}",
            loss(lr, batch, scale),
            2.0 + i / 100,
            0,
            0.5 + i,
            9,
            i,
        ]
        for i, (scale, size, lr, batch) in enumerate(
            (scale, size, lr, batch) for scale, (size, _) in enumerate(SCALES) for lr in RATES for batch in BATCHES
        )
    ]
    return write_csv(header, rows, "wandb_flat.csv")


@pytest.fixture
def grpo(tmp_path: Path) -> Path:
    """Nested JSONL of GRPO runs on models that are known by name, with a boolean setting."""
    path = tmp_path / "grpo.jsonl"
    lines = [
        {
            "config": {"model": model, "lr": lr, "kl_coef": kl, "normalize": normalize, "steps": 200},
            "summary": {"critic/score/mean": 0.3 + 0.1 * size - abs(math.log10(lr / 1e-6)) / 10, "kl": 0.01 / kl},
            "seed": 1,
        }
        for size, model in enumerate(("some-0.5B-chat", "some-3B-chat"))
        for lr in (1e-7, 1e-6, 1e-5)
        for kl in (1e-3, 1e-2)
        for normalize in (True, False)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Parquet of architectures at one scale, with a latency to be minimised."""
    import pandas as pd

    rows = [
        {"d_model": width, "n_layers": depth, "mlp_ratio": ratio, "tokens": 10**9, "perplexity": 40 - depth - ratio}
        for width in (256, 512, 1024)
        for depth in (4, 8)
        for ratio in (2, 3, 4)
    ]
    path = tmp_path / "shapes.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.fixture
def mixture(write_csv: WriteCsv) -> Path:
    """Weights of three sources at two sizes; line 4 sums to 0.9."""
    weights = [(0.5, 0.3, 0.2), (0.2, 0.3, 0.5), (0.6, 0.2, 0.1), (1.0, 0.0, 0.0), (0.34, 0.33, 0.33)]
    rows = [[size, *w, 2.5 - w[0] / 10 - scale / 5] for scale, size in enumerate(("60M", "1B")) for w in weights * 2]
    rows = [r for i, r in enumerate(rows) if i % 10 != 7]
    return write_csv(["model_size", "mix_web", "mix_code", "mix_math", "loss"], rows, "mixes.csv")
