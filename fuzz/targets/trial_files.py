"""What a user's command leaves in its trial's directory, where it may write what it likes."""

from __future__ import annotations

import json
from functools import cache

from autollmresearch.live.attempts import _check_owner
from autollmresearch.live.outcome import judge
from autollmresearch.live.settings import MetricSource, RunSettings, read_saved
from autollmresearch.live.trial import LiveTrial
from fuzz.scratch import put, scratch
from llmconfig_gym import keeper, process
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import Real
from llmconfig_gym.space import Space

RUNS, LONGEST = 200_000, 600
WORDS = (
    b"val_loss=",
    b"val_loss: ",
    b"nan",
    b"inf",
    b"1e999",
    b"\n",
    b"\r",
    b"{",
    b"}",
    b'"value":',
    b'"details":',
    b"null",
    b"[]",
)


@cache
def settings(kind: str) -> RunSettings:
    """Of a study whose metric comes from there."""
    source = {
        "stdout": MetricSource("stdout"),
        "pattern": MetricSource("stdout", pattern=r"loss (\S+)"),
        "file": MetricSource("file", file="metrics.json", key="eval.loss"),
        "report": MetricSource("report"),
    }[kind]
    metric, space = Metric("val_loss", "minimize", details={"kl": "of it"}), Space((Real("lr", 0.0, 1.0),))
    place = str(scratch())
    return RunSettings(
        place, "a", place, "sqlite:///a", ("x",), metric, source, space, Fidelity({"N": 1.0}, 1.0), 3, timeout=1.0
    )


def seeds() -> list[bytes]:
    return [
        b"step 1 val_loss=2.5 kl: 0.1\nval_loss=2.25\n",
        b"loss 0.5\nloss nan\nCUDA out of memory\n",
        json.dumps({"value": 2.5, "details": {"kl": 0.1}}).encode(),
        json.dumps({"failed": "diverged"}).encode(),
        json.dumps({"eval": {"loss": 2.5}, "kl": 1, "eval.loss": 2}).encode(),
        json.dumps({"how": "exited", "code": 1, "seconds": 0.5, "message": ""}).encode(),
        json.dumps({"argv": ["a"], "env": {}, "timeout": None, "attempt": 1, "cuts": 0}).encode(),
        json.dumps({"config": {"lr": 0.5}, "fidelity": {"N": 1}, "seed": 0}).encode(),
        json.dumps({"name": "a", "storage": "sqlite:///a"}).encode(),
    ]


def read(data: bytes) -> None:
    here, names = scratch() / "trial", ("log.txt", "report.json", "metrics.json", keeper.ENDED, process.JOB)
    at = len(data) % 7
    if at == 5:
        put("trial/config.json", data)
        return _check_owner(here, LiveTrial(0, "open", {"lr": 0.5}))
    if at == 6:
        put("trial/settings.json", data)
        read_saved(here)
        return None
    put(f"trial/{names[at]}", data)
    process.last_job(here)
    ended = process.ended(here) or process.Ended("exited", 0, 1.0)
    judge(settings(("stdout", "pattern", "file", "report")[len(data) % 4]), here, ended)
    return None
