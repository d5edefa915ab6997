"""The parser of what an agent writes, and what an experiment then answers: neither raises anything at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

import numpy as np

from autollmresearch.dialogue import reasoning
from llmconfig_gym.action import read_action
from llmconfig_gym.errors import GymError
from llmconfig_gym.experiment import Experiment, Fidelity, Metric, Outcome
from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

RUNS, LONGEST = 1_000_000, 400
WORDS = (
    *(b"<config>", b"</config>", b"<think>", b"</think>", b"{", b"}", b'"lr":', b'"batch":', b'"mix":', b"```json\n"),
    *(b"0.001", b"1e-3", b"NaN", b"Infinity", b"1e999", b"null", b"true", b"'", b'"', b",", b"[", b"]", b"\\u0000"),
)


@cache
def experiment() -> Experiment:
    """All kinds of parameters at eight configurations."""
    space = Space(
        (
            Grid("lr", (1e-3, 3e-3, 1e-2), log=True),
            Integer("layers", 1, 12),
            Real("ratio", 0.5, 4.0),
            Categorical("act", ("gelu", "relu")),
            Categorical("bias", (False, True)),
            Simplex("mix", ("code", "web")),
        )
    )
    rng = np.random.default_rng(0)
    pool = Pool.from_configs(space, [space.decode(rng.random(space.width)) for _ in range(8)])
    fidelity, metric = Fidelity({"parameters": 1e6}, 1.0), Metric("loss", "minimize")
    return Experiment("fuzz/one", "fuzz", "other", "f", "low", fidelity, metric, pool, rng.random(8))


def seeds() -> list[bytes]:
    config = json.dumps(experiment().pool.config(0))
    return [
        s.encode()
        for s in (
            f"<think>because</think>\n<config>{config}</config>",
            f"I choose ```json\n{config}\n``` now",
            config.replace('"', "'"),
            config.replace("}}", "},}"),
            '<config>{"lr": "1e-3", "layers": 3, "ratio": 2, "act": "relu", "bias": true, "mix": {"web": 1}}</config>',
            '<config>{"lr": 1</config><config>{"lr": 2}</config>',
            "no configuration {here} or {there: [1, 2}",
        )
    ]


def read(data: bytes) -> object:
    text = data.decode("utf-8", "replace")
    try:
        reasoning(text)
        action = read_action(text, experiment().space)
        told = experiment().tell(action) if isinstance(action, Mapping) else action
        assert isinstance(told, Outcome)
        return json.dumps(told.to_dict())
    except GymError as problem:
        raise AssertionError("whatever a model writes is data, not an error") from problem
