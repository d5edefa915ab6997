"""What people type on a command line: methods, protocols, targets and levels."""

from __future__ import annotations

from contextlib import suppress

from autollmresearch.benchmark.protocols import parse_protocol
from autollmresearch.errors import ResearchError
from autollmresearch.live.target import parse_target
from autollmresearch.methods import make_policy
from llmconfig_gym.errors import GymError
from llmconfig_gym.importing import check_name, parse_levels

RUNS, LONGEST = 150_000, 120
WORDS = (
    *(
        b"random",
        b"tpe:",
        b"startup=",
        b"agent:",
        b"endpoint:",
        b"opro:",
        b"metered:",
        b"active:",
        b"full",
        b",",
        b"=",
        b":",
    ),
    *(
        b"temperature=",
        b"base_url=http://",
        b"evidence=1",
        b"7B",
        b"1e9",
        b"../",
        b"\x00",
        b"decode=score",
        b"N=",
        b"1/2/3",
    ),
)


def seeds() -> list[bytes]:
    return [
        *(b"random", b"tpe:startup=3", b"researcher-mini:decode=greedy,top=1", b"agent:runs/a,temperature=0.8"),
        *(b"endpoint:m,base_url=http://localhost:8000/v1,retries=2", b"opro:endpoint:m", b"pooled-gp", b"smac"),
        *(b"full", b"metered:10", b"active:5", b"N=7e9,tokens=20B", b"N=7B,data=web", b"3/2/1", b"my-suite.v1"),
    ]


def read(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for reader in (make_policy, parse_protocol, parse_target, parse_levels, check_name):
        with suppress(GymError, ResearchError):
            reader(text)
