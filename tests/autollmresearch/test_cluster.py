"""A real Ray cluster of several nodes on this machine: rows are those of one process, also when a node is killed.

One cluster for the whole module, because it takes long to start. Its nodes hold on to their jobs until a file says go,
so that a node is killed while it works, however slow this machine is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from autollmresearch.benchmark.runner import run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.cli.main import main
from autollmresearch.policy import Policy
from autollmresearch.training.curate import CurateSettings, samples
from autollmresearch.training.simulate import Agent, Simulated, SimulateSettings, simulate_all
from llmconfig_gym import parallel
from llmconfig_gym.collect.driver import RUNS, Group, Measurement, Row, Run, collect
from llmconfig_gym.errors import NodesDiffer, WorkersLost
from llmconfig_gym.parallel import Cluster, run_jobs
from llmconfig_gym.suite import Suite

pytestmark = pytest.mark.xdist_group("cluster")  # one process runs all of them, and so starts one cluster
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}
GROUPS = 8

METHOD = """
from autollmresearch.baselines.copy import CopyPolicy

class Held(CopyPolicy):
    def propose(self, states):
        {hold}
        return super().propose(states)
"""
HOLD = """
import os, time, ray
from pathlib import Path
if ray.is_initialized():
    notes = Path({notes!r})
    (notes / f"{{time.monotonic_ns()}}-{{os.getpid()}}-{{ray.get_runtime_context().get_node_id()}}").touch()
    while not (notes / "go").exists():
        time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without a core, which the driver is on, and a node of one core."""
    import ray
    from ray.cluster_utils import Cluster as LocalCluster

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # nodes cannot import a test
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        nodes = LocalCluster(initialize_head=True, head_node_args=NODE | {"num_cpus": 0, "include_dashboard": False})
        nodes.add_node(**NODE)
        patch.setenv("RAY_ADDRESS", nodes.address)
        yield nodes
        ray.shutdown()
        nodes.shutdown()


@contextmanager
def killed_at_work(cluster: Any, notes: Path) -> Iterator[None]:
    """Adds a node, kills it while it holds a job, and only then lets everything go on."""
    doomed = cluster.add_node(**NODE)
    killed = threading.Event()

    def kill() -> None:
        while not (held := list(notes.glob(f"*-{doomed.node_id}"))):
            time.sleep(0.02)
        cluster.remove_node(doomed, allow_graceful=False)
        with suppress(ProcessLookupError):  # a process outlives its node here, where both are on one machine
            os.kill(int(held[0].name.split("-")[1]), signal.SIGKILL)
        killed.set()
        (notes / "go").touch()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    yield
    thread.join()
    assert killed.is_set()


@dataclass(frozen=True)
class Sweep:
    """Eight runs that take no time."""

    notes: Path

    def manifest(self) -> dict[str, Any]:
        return {"runner": "sweep"}

    def groups(self) -> list[Group]:
        return [Group(f"g{i}", (Run("e", {"x": i}, 0), Run("e", {"x": i}, 1))) for i in range(GROUPS)]

    def measure(self, group: Group) -> list[Measurement]:
        exec(HOLD.format(notes=str(self.notes)))
        return [Measurement(float(str(r.config["x"])) / 3, "ok", {"seed": r.seed}) for r in group.runs]

    def suite(self, name: str, rows: Sequence[Row]) -> Suite:
        raise NotImplementedError


def test_a_node_is_killed_in_the_middle_of_a_sweep_and_no_row_is_lost(cluster: Any, tmp_path: Path) -> None:
    one = collect(Sweep(tmp_path), tmp_path / "one", progress=False)
    with killed_at_work(cluster, tmp_path):
        rows = collect(Sweep(tmp_path), tmp_path / "many", workers=Cluster(), progress=False)
    assert rows == one
    lines = [(tmp_path / name / RUNS).read_text().splitlines() for name in ("one", "many")]
    assert sorted(lines[0]) == sorted(lines[1])
    assert len(list(tmp_path.glob("*-*"))) > GROUPS, "what the killed node held was not run again"


def same_rows(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True)


def test_a_node_is_killed_in_the_middle_of_a_benchmark_and_no_row_is_lost(
    cluster: Any, small_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold = HOLD.format(notes=str(tmp_path)).strip().replace("\n", "\n        ")
    (tmp_path / "held.py").write_text(METHOD.format(hold=hold))
    methods = (f"python:{tmp_path}/held.py:Held", "random", "pooled-gp")
    settings = BenchmarkSettings((str(small_path),), ("full", "metered:3"), methods, budget=3, seeds=2)
    one = run_benchmark(settings, tmp_path / "one", progress=False)
    command = ["benchmark", "--suite", str(small_path), "--protocol", ",".join(settings.protocols), "--budget", "3"]
    command += ["--seeds", "2", "--methods", ",".join(methods), "--out", str(tmp_path / "many"), "--backend", "ray"]
    with killed_at_work(cluster, tmp_path):
        assert main([*command, "--no-progress", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"]
    same_rows(pd.read_parquet(tmp_path / "many" / "results.parquet"), one)


@dataclass(frozen=True)
class HeldAgent(Agent):
    """An agent that is held when it is asked for its policy."""

    notes: Path

    @property
    def policy(self) -> Policy:
        exec(HOLD.format(notes=str(self.notes)))
        return super().policy


def test_a_node_is_killed_in_the_middle_of_rollouts_and_no_trajectory_is_lost(
    cluster: Any, toy_path: Path, checkpoint: Path, tmp_path: Path
) -> None:
    targets = (f"{toy_path}/mix-medium",)
    made = list(samples(CurateSettings(suites=(str(toy_path),), targets=targets, budgets=(3, 4, 5, 6))))
    settings = SimulateSettings(rollouts=3, continuations=0, batch=3)
    agent = Agent.read(checkpoint, "score", 0.8)
    one = simulate_all(agent.policy, made, settings, tmp_path / "one", progress=False)
    held = HeldAgent(agent.files, agent.decode, agent.temperature, tmp_path)
    with killed_at_work(cluster, tmp_path):
        many = simulate_all(held, made, settings, tmp_path / "many", cluster=Cluster(), progress=False)
    assert [untimed(s) for s in many] == [untimed(s) for s in one]
    assert any(s.trajectories for s in one), "nothing was compared"
    assert len(list(tmp_path.glob("*-*"))) > 2, "what the killed node held was not run again"


def untimed(came: Simulated) -> Simulated:
    trajectories = [replace(t, turns=tuple(replace(turn, seconds=0) for turn in t.turns)) for t in came.trajectories]
    return replace(came, trajectories=tuple(trajectories))


def test_another_model_under_the_same_name_is_refused(
    cluster: Any, small_path: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autollmresearch.benchmark.settings.identity", lambda name: {"checkpoint": "that of another"})
    settings = BenchmarkSettings((str(small_path),), ("full",), (f"agent:{checkpoint}",), budget=1, seeds=1)
    with pytest.raises(NodesDiffer, match=r"has another agent:.*; put the same files there"):
        run_benchmark(settings, tmp_path / "out", workers=Cluster(), progress=False)


def test_other_code_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "code_digest", lambda module: "0" * 64)
    with pytest.raises(NodesDiffer, match=r"other code .* install the same version on all nodes"):
        list(run_jobs(add, 1, [2], Cluster()))


def add(shared: int, item: int) -> int:
    return shared + item


def fail(shared: type[Exception], item: int) -> int:
    raise shared(f"job {item}")


def die(shared: None, item: int) -> int:
    os._exit(1)


def test_what_a_job_raises_is_raised_as_it_is(cluster: Any) -> None:
    with pytest.raises(WorkersLost, match=r"^job 3$"):
        list(run_jobs(fail, WorkersLost, [3], Cluster()))


def test_a_job_that_kills_its_process_ends_somewhere(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "TRIES_AGAIN", 1)
    with pytest.raises(WorkersLost, match=r"lost its process or node 2 times .*what is finished is kept"):
        list(run_jobs(die, None, [0], Cluster()))
