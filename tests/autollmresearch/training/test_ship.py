"""`ship`: a run's agent as files that a package may hold, with a card that says what the run recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy
from autollmresearch.training import ship as module
from autollmresearch.training.prior import PriorSettings
from autollmresearch.training.scratch import ModelSettings
from autollmresearch.training.ship import main

STEPS = ("prior", "curate", "simulate", "distill", "reinforce")
SETTINGS = AgentSettings(max_new_tokens=7, score=True)


@pytest.fixture
def run(tmp_path: Path, tiny_model: Callable[..., Any], tiny_tokenizer: Callable[..., Any]) -> Path:
    """A finished training run, as its steps leave it: two checkpoints, manifests, samples."""
    from dataclasses import asdict

    run = tmp_path / "run"
    for seed, step in enumerate(("prior", "reinforce")):
        checkpoint = run / step / "checkpoint"
        tiny_model(tiny_tokenizer(), seed=seed).save_pretrained(checkpoint)
        tiny_tokenizer().save_pretrained(checkpoint)
        SETTINGS.save(checkpoint)
        (checkpoint / "training_args.bin").write_bytes(b"a pickle")
    model, prior = ModelSettings(suites=("micro",)), PriorSettings(episodes=4321)
    for i, step in enumerate(STEPS):
        (run / step).mkdir(exist_ok=True)
        settings = {"model": asdict(model), "prior": asdict(prior)} if step == "prior" else {step: {"batch": i}}
        manifest = {
            "step": step,
            "seed": 3,
            "settings": json.loads(json.dumps(settings)),
            "inputs": {"suite micro": {"path": "/a/secret/place", "sha256": "0"}},
            "counts": {"rows": 1000 + i, "loss": 0.5, "seconds": 9, "by_task": {"pretraining": 2}},
            "seconds": 1234.5,
            "finished": "2026-11-25T10:00:00+00:00",
            "version": "0.1.0",
        }
        (run / step / "manifest.json").write_text(json.dumps(manifest))
    sample = {"cheaper": ["micro/N6k-D1M"], "protocol": "full", "budget": 5, "seed": 0}
    lines = [json.dumps(sample | {"target": f"micro/{name}"}) for name in ("N25k-D1M", "N25k-D1M", "N25k-D524k")]
    (run / "curate" / "samples.jsonl").write_text("\n".join(lines) + "\n")
    return run


@pytest.fixture
def typed(run: Path, tmp_path: Path) -> list[str]:
    """The command that ships it."""
    (tmp_path / "results.md").write_text("It won twice.\n")
    (tmp_path / "limits.md").write_text("It knows four tasks.\n")
    texts = ["--results", str(tmp_path / "results.md"), "--limits", str(tmp_path / "limits.md")]
    return [str(run), "--out", str(tmp_path / "mini"), "--machine", "two slow cores", *texts]


def test_what_is_shipped_loads_as_the_agent_it_was(
    run: Path, typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    assert main(typed) == 0
    out = tmp_path / "mini"
    assert capsys.readouterr().out == f"{out / 'README.md'}\n"
    names = {p.name for p in out.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "agent.json"} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    assert all(p.stat().st_mode & 0o777 == 0o644 for p in out.iterdir())
    assert not any(str(run).encode() in p.read_bytes() for p in out.iterdir()), "it says where it was made"
    shipped, trained = (CausalLMPolicy.load(str(p), device="cpu") for p in (out, run / "reinforce" / "checkpoint"))
    assert shipped.settings == trained.settings == SETTINGS
    pairs = zip(shipped.model.state_dict().values(), trained.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "scores would be others"


def test_the_card_says_what_the_run_recorded(typed: list[str], tmp_path: Path) -> None:
    assert main(typed) == 0
    card = (tmp_path / "mini" / "README.md").read_text()
    for words in (
        "# mini\n",
        "- 4,321 landscapes drawn at random (pretraining, grpo, architecture, mixture)",
        "of micro, and no outcome",
        "- 3 problems on 2 medium experiments, each with low ones of its family as context: `micro/N25k-D1M` (2), ",
        "## Results\n\nIt won twice.\n",
        "## Limits\n\nIt knows four tasks.\n",
        "On two slow cores.",
        "| reinforce | 3      | 1,234     | rows 1,004, loss 0.5 | 2026-11-25 | 0.1.0     |",
        "checkpoint of the step `reinforce`",
        "episodes: 4321\n",
    ):
        assert words in " ".join(card.split(" ")), words
    assert "secret" not in card


def test_an_earlier_step_is_described_without_the_later_ones(typed: list[str], tmp_path: Path) -> None:
    assert main([*typed, "--step", "prior"]) == 0
    card = (tmp_path / "mini" / "README.md").read_text()
    assert "No real outcome: it has learned from drawn landscapes alone." in card
    assert "reinforce" not in card


def test_what_cannot_be_shipped_is_one_line_and_leaves_what_is_there(
    run: Path, typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "mini").iterdir()}
    capsys.readouterr()
    monkeypatch.setattr(module, "MOST", 1000)
    assert main(typed) == 2
    assert "bytes, and at most 1,000 are shipped" in capsys.readouterr().err
    monkeypatch.undo()
    (run / "distill" / "manifest.json").unlink()
    assert main(typed) == 2
    assert "distill is not finished; run it first: autollmresearch train distill" in capsys.readouterr().err
    assert main([*typed, "--limits", str(tmp_path / "none.md")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {p.name: p.read_bytes() for p in (tmp_path / "mini").iterdir()} == before
