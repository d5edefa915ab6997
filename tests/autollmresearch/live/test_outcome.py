"""What a command that ended has given: the metric from where it was said to be, or the reason why there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autollmresearch.live.outcome import REPORT, judge
from autollmresearch.live.settings import MetricSource, RunSettings
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.keeper import LOG
from llmconfig_gym.parameter import Real
from llmconfig_gym.process import Ended
from llmconfig_gym.space import Space

SETTINGS = RunSettings(
    here="/",
    name="s",
    directory="/",
    storage="",
    command=("x",),
    metric=Metric("val_loss", "minimize", details={"kl": "divergence"}),
    source=MetricSource(),
    space=Space((Real("lr", 0.0, 1.0),)),
    target=Fidelity({"N": 1}, 1.0),
    budget=1,
    timeout=60.0,
)
FILE = MetricSource("file", file="m.json", key="eval.loss")


@pytest.mark.parametrize(
    ("log", "ended", "value", "failure"),
    [
        ("val_loss=3\nval_loss=2.5 kl: 0.1", Ended("exited", 0, 1.0), 2.5, ""),
        ("val_loss=0.0", Ended("exited", 0, 1.0), 0.0, ""),
        ("hello", Ended("exited", 0, 1.0), None, "it printed no val_loss=..."),
        ("", Ended("exited", 0, 1.0), None, "it printed no val_loss=..."),
        ("val_loss=nan", Ended("exited", 0, 1.0), None, "diverged: val_loss is nan"),
        ("val_loss=-inf", Ended("exited", 0, 1.0), None, "diverged: val_loss is -inf"),
        ("val_loss=1\nboom\n", Ended("exited", 3, 1.0), None, "exit code 3: boom"),
        ("val_loss=1", Ended("timeout", -15, 61.0), None, "timeout: not over after 60 s"),
        ("val_loss=1", Ended("exited", -9, 1.0), None, "out of memory: it was killed with SIGKILL, as the kernel does"),
        ("val_loss=1", Ended("exited", 137, 1.0), None, "out of memory: it was killed with SIGKILL"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried", Ended("exited", 1, 1.0), None, "out of memory: "),
        ("Traceback\nMemoryError\n", Ended("exited", 1, 1.0), None, "out of memory: MemoryError"),
        ("CUDA out of memory, skipped", Ended("exited", 0, 1.0), None, "out of memory: CUDA out of memory"),
        ("CUDA out of memory, retried\nval_loss=1", Ended("exited", 0, 1.0), 1.0, ""),
        ("x", Ended("exited", -11, 1.0), None, "ended by SIGSEGV: x"),
    ],
)
def test_from_what_it_printed(tmp_path: Path, log: str, ended: Ended, value: float | None, failure: str) -> None:
    (tmp_path / LOG).write_text(log)
    found = judge(SETTINGS, tmp_path, ended)
    assert found.value == value
    assert found.failure.startswith(failure)
    assert bool(found.failure) == (value is None)
    assert dict(found.details) == ({"kl": 0.1} if "kl" in log else {})


def test_from_a_pattern(tmp_path: Path) -> None:
    settings = replace(SETTINGS, source=MetricSource("stdout", pattern=r"final: (\S+) nats"))
    (tmp_path / LOG).write_text("final: 3 nats\nfinal: 2.5 nats\nval_loss=9")
    assert judge(settings, tmp_path, Ended("exited", 0, 1.0)).value == 2.5
    (tmp_path / LOG).write_text("final: many nats")
    assert judge(settings, tmp_path, Ended("exited", 0, 1.0)).failure == r"nothing it printed matches final: (\S+) nats"


@pytest.mark.parametrize(
    ("content", "value", "failure"),
    [
        ('{"eval": {"loss": 2.5}, "kl": 0.1}', 2.5, ""),
        ('{"eval.loss": 2.5, "eval": {"loss": 1}, "kl": 0.1}', 2.5, ""),
        ('{"eval": {}}', None, "m.json has no number eval.loss"),
        ('{"eval": {"loss": true}}', None, "m.json has no number eval.loss"),
        ('{"eval": {"loss": NaN}}', None, "diverged: val_loss is nan"),
        ("[1]", None, "it wrote no JSON to m.json"),
        ("{", None, "it wrote no JSON to m.json"),
        (None, None, "it wrote no JSON to m.json"),
    ],
)
def test_from_a_file(tmp_path: Path, content: str | None, value: float | None, failure: str) -> None:
    if content is not None:
        (tmp_path / "m.json").write_text(content)
    found = judge(replace(SETTINGS, source=FILE), tmp_path, Ended("exited", 0, 1.0))
    assert (found.value, found.failure) == (value, failure)
    assert dict(found.details) == ({"kl": 0.1} if value else {})


@pytest.mark.parametrize(
    ("content", "value", "failure"),
    [
        ({"value": 2.5, "details": {"kl": 0.1, "note": "x"}}, 2.5, ""),
        ({"failed": "the data are gone"}, None, "it reported: the data are gone"),
        ({"loss": 2}, None, "its report has no number value: ['loss']"),
        (None, None, "it wrote no JSON to report.json"),
    ],
)
def test_from_a_report(tmp_path: Path, content: object, value: float | None, failure: str) -> None:
    if content is not None:
        (tmp_path / REPORT).write_text(json.dumps(content))
    found = judge(replace(SETTINGS, source=MetricSource("report")), tmp_path, Ended("exited", 0, 1.0))
    assert (found.value, found.failure) == (value, failure)
