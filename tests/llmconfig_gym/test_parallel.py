"""Jobs side by side in processes; on a cluster: tests/autollmresearch/test_cluster.py."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from llmconfig_gym.errors import MissingExtra, WorkersLost
from llmconfig_gym.parallel import Cluster, Workers, code_digest, run_jobs


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_run_once(workers: Workers) -> None:
    assert sorted(run_jobs(pow, 3, iter(range(9)), workers)) == [3**i for i in range(9)]


def test_one_worker_is_this_process_and_works_when_asked() -> None:
    began: list[int] = []
    results = run_jobs(lambda shared, item: began.append(item), None, [1, 2], 1)
    next(results)
    assert began == [1]


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(WorkersLost, match="what is finished is kept"):
        list(run_jobs(lambda shared, item: os._exit(1), None, range(4), 2))


def test_without_ray_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'autollmresearch\[ray\]'"):
        list(run_jobs(pow, 3, [1], Cluster()))


def test_the_digest_is_that_of_the_package_and_of_what_runs() -> None:
    gym, both = code_digest("llmconfig_gym.collect.driver"), code_digest("autollmresearch.benchmark.runner")
    assert gym == code_digest("anything_else") != both
    program = "from llmconfig_gym.parallel import code_digest; print(code_digest('llmconfig_gym'))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == gym
