"""A checkpoint of ours behind a real server (`transformers serve`) plays a benchmark as it does when loaded here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autollmresearch.benchmark.report import write_report
from autollmresearch.benchmark.runner import run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.dialogue import Style, action
from autollmresearch.policies.causal_lm import AgentSettings
from autollmresearch.thoughts import PHRASES
from autollmresearch.training.scratch import ModelSettings, make_model, make_tokenizer

PATIENCE = 120.0
"""Seconds for the server to start: it imports torch and reads the weights first."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as training makes one from scratch, with random weights large enough for answers to differ."""
    settings = ModelSettings(layers=1, width=48, heads=4, key_heads=2, mlp=64, vocabulary=512, context=8000)
    tokenizer = make_tokenizer(
        [*PHRASES, action({"lr": 1e-3, "batch_size": 64}), "Target: loss, lower is better."], settings
    )
    model = make_model(settings, tokenizer, seed=1)
    for weights in model.parameters():
        weights.data *= 6
    path = tmp_path_factory.mktemp("checkpoints") / "scratch"
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    AgentSettings(Style(top=2), max_new_tokens=16, context=8000).save(path)
    return path


@pytest.fixture(scope="module")
def served(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the tiny model, which needs no network."""
    said = tmp_path_factory.mktemp("server") / "log"
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(checkpoint)]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    with said.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", "0", "--device", "cpu"],
            env=env,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(r"running on (http://127\.0\.0\.1:\d+)", said.read_text(errors="replace"))):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start: {said.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield f"{found[1]}/v1"
    finally:
        process.terminate()
        process.wait(timeout=30)


def plain(text: str) -> str:
    """An answer without special tokens, which the server leaves out, and bytes that are no text around them."""
    return re.sub(r"<\|\w+\|>|[^\x20-\x7e]", "", text)


def test_a_benchmark_of_a_served_checkpoint(
    served: str, checkpoint: Path, small_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each prompt is another (`metered`); the first answers are those of the agent that is loaded here."""
    monkeypatch.setenv("OPENAI_BASE_URL", served)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody-asks-for-it")
    here = f"agent:{checkpoint}"
    there = f"endpoint:{checkpoint},temperature=0,max_tokens=16,top=2,retries=0,read_price=1"
    settings = BenchmarkSettings((str(small_path),), ("metered:6",), (here, there), budget=2, seeds=3)
    out = tmp_path / "out"
    frame = run_benchmark(settings, out, progress=False)
    write_report(out, frame)
    assert len(frame) == 2 * 2 * 3 * 2
    rows = {m: frame[frame["method"] == m].sort_values(["experiment", "seed", "trial"]) for m in (here, there)}
    first = {m: part[part["trial"] == 1] for m, part in rows.items()}
    said = {m: [plain(text) for text in part["config"]] for m, part in first.items()}
    assert said[here] == said[there]
    assert len(set(said[here])) > 1
    for column in ("read_tokens", "written_tokens"):
        assert first[here][column].tolist() == first[there][column].tolist()
    assert (rows[there]["written_tokens"] > 0).all()
    assert rows[there]["cost"].to_numpy() == pytest.approx(rows[there]["read_tokens"].to_numpy() / 1e6)
    report = (out / "report.md").read_text(encoding="utf-8")
    assert "tokens read / proposal" in report
    for path in out.rglob("*"):
        assert path.is_dir() or b"sk-nobody" not in path.read_bytes()
