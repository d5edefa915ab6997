"""Files of trajectories, as training reads them."""

from __future__ import annotations

from autollmresearch.trajectories import read_trajectories, to_dict
from fuzz.scratch import put
from fuzz.tables import as_lines

RUNS, LONGEST = 200_000, 2000
WORDS = (
    b'"turns":',
    b'"outcome":',
    b'"kind":',
    b'"tokens":',
    b'"read":',
    b'"wrote":',
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b"\n",
    b"1e999",
)


def seeds() -> list[bytes]:
    config = {"lr": 0.001, "mix": {"web": 1.0}}
    turn = {
        "read": "prompt",
        "wrote": '<think>so</think><config>{"lr": 0.001}</config>',
        "outcome": {"kind": "measured", "config": config, "value": 2.5, "details": {"kl": 0.1}, "message": ""},
        "reward": 0.5,
        "seconds": 0.25,
        "usage": {"read": 10, "wrote": 5, "cost": 0.0},
        "candidates": [{"config": config, "probability": 0.5}],
        "tokens": {"read": [1, 2], "wrote": [3], "logprobs": [-0.5]},
    }
    chosen = {**{k: turn[k] for k in ("read", "outcome", "reward", "seconds")}, "wrote": config, "reasoning": "so"}
    return [
        as_lines([{"experiment": "micro/a", "budget": 2, "seed": 0, "reward": 1.0, "turns": [turn, chosen]}] * n)
        for n in (1, 2)
    ]


def read(data: bytes) -> None:
    for trajectory in read_trajectories(put("trajectories.jsonl", data)):
        to_dict(trajectory)
