"""The index of a suite, `suite.json`, and with it the tables that it leads to."""

from __future__ import annotations

from pathlib import PurePath

from fuzz.suites import saved
from llmconfig_gym.suite import Suite

RUNS, LONGEST = 100_000, 6000
WORDS = (
    b'"id":',
    b'"fuzz/../../x"',
    b'"space":',
    b'"kind":',
    b'"levels":',
    b"null",
    b"1e999",
    b"NaN",
    b"[]",
    b"{}",
    b'"format":',
)


def seeds() -> list[bytes]:
    return [(saved("suite") / "suite.json").read_bytes()]


def read(data: bytes) -> None:
    root = saved("index")
    (root / "suite.json").write_bytes(data)
    suite = Suite.load(root)
    for summary in suite.summaries:
        assert ".." not in PurePath(summary.id).parts
        summary.to_dict()
    for id_ in suite.ids:
        suite.experiment(id_).tell({"lr": 1e-3})
