"""Jobs side by side: in processes of this machine, or on the nodes of a Ray cluster.

A job is a pure function of what all jobs share and of its own item. Results come back to the caller, which alone writes
files: nodes of a cluster need no common disk. A job whose node or process was lost is run again elsewhere, so a cluster
may lose nodes, and get new ones, while it works. Nothing here decides a number.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from llmconfig_gym.errors import NodesDiffer, WorkersLost, missing_extra

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES_AGAIN = 5
"""How often a job is run again after it lost its node or process; a job that kills its process must end somewhere."""


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster: the one that RAY_ADDRESS names, else one that runs on this machine, else a new one of its cores.

    Attributes:
        at_once: the most jobs that run or wait on it at a time; None for enough to keep all its cores busy.
        gpus: GPUs that each job has for itself.
    """

    at_once: int | None = None
    gpus: float = 0.0


Workers: TypeAlias = "int | Cluster"
"""Where jobs run: in so many processes of this machine, or on a cluster."""


def run_jobs(
    function: Callable[[Shared, Item], Result], shared: Shared, items: Iterable[Item], workers: Workers
) -> Iterator[Result]:
    """`function(shared, item)` for every item, each as it is ready, in no order.

    What a job raises is raised here, and ends the others.

    Raises:
        WorkersLost: a process died (on a cluster: again and again with the same job).
        NodesDiffer: a node of the cluster has other code.
        MissingExtra: a cluster was asked for, and Ray is not installed.
    """
    if isinstance(workers, Cluster):
        yield from _on_cluster(function, shared, items, workers)
    elif workers > 1:
        yield from _in_processes(function, shared, items, workers)
    else:
        yield from (function(shared, item) for item in items)


def _in_processes(
    function: Callable[[Shared, Item], Result], shared: Shared, items: Iterable[Item], workers: int
) -> Iterator[Result]:
    from concurrent.futures.process import BrokenProcessPool

    from joblib import Parallel, delayed

    try:
        pool = Parallel(n_jobs=workers, return_as="generator_unordered")
        yield from pool(delayed(function)(shared, item) for item in items)
    except BrokenProcessPool:
        raise WorkersLost(
            "a worker process died (out of memory?); what is finished is kept: run the same again, with fewer workers"
        ) from None


def _on_cluster(
    function: Callable[[Shared, Item], Result], shared: Shared, items: Iterable[Item], cluster: Cluster
) -> Iterator[Result]:
    with _ray() as ray:
        errors = ray.exceptions
        # In a list, Ray hands on the reference itself: a process that runs many jobs then fetches the object once.
        common = [ray.put((function, shared))]
        told = (Path.cwd(), code_digest(function.__module__), function.__module__)
        task = ray.remote(num_cpus=1, num_gpus=cluster.gpus, max_retries=TRIES_AGAIN)(_job)
        left = iter(items)
        running: set[Any] = set()
        try:
            while True:
                room = (cluster.at_once or _enough(ray)) - len(running)
                running.update(task.remote(common, item, *told) for item in islice(left, max(0, room)))
                if not running:
                    return
                (ready, *_), _ = ray.wait(list(running), num_returns=1)
                running.remove(ready)
                yield ray.get(ready)
        except errors.RayTaskError as raised:
            raise raised.cause from None
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError, errors.OutOfMemoryError) as e:
            raise WorkersLost(
                f"a job lost its process or node {TRIES_AGAIN + 1} times ({str(e).splitlines()[0]}); what is finished "
                "is kept: run the same again, on nodes with more memory or with fewer jobs at once"
            ) from None
        finally:
            for reference in running:
                with suppress(errors.RayError):
                    ray.cancel(reference, force=True)


@contextmanager
def _ray() -> Iterator[Any]:
    """Ray, connected; what is started here is ended here."""
    # Ray reads these when it is imported. No statistics are sent anywhere; a job that asks for no GPU may see one.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise missing_extra("ray", "ray", "--backend ray") from None
    with redirect_stdout(sys.stderr):  # where Ray says which nodes died; results alone go to standard output
        started = not ray.is_initialized()
        if started:
            try:
                ray.init(log_to_driver=False, logging_level=logging.ERROR)
            except ConnectionError as problem:
                raise WorkersLost(
                    f"no Ray cluster answers ({problem}); start one with `ray start --head`, or unset RAY_ADDRESS"
                ) from None
        try:
            yield ray
        finally:
            if started:
                ray.shutdown()


def _enough(ray: Any) -> int:
    """Jobs that keep all cores busy, now that some nodes may have come or gone."""
    return 1 + int(1.5 * ray.cluster_resources().get("CPU", 1))


def _job(common: list[Any], item: Any, directory: Path, digest: str, module: str) -> Any:
    """Runs on a node."""
    if (found := code_digest(module)) != digest:
        raise NodesDiffer(
            f"node {platform.node()} has other code of this project than the program that started the jobs (digests "
            f"{found[:12]} and {digest[:12]}); install the same version on all nodes"
        )
    if directory.is_dir():  # so that a relative path in a command means the same where there is a common disk
        os.chdir(directory)
    function, shared = _fetched(common[0])
    return function(shared, item)


@lru_cache(maxsize=1)
def _fetched(reference: Any) -> Any:
    import ray

    return ray.get(reference)


@cache
def code_digest(module: str) -> str:
    """SHA-256 of the sources of this package and of the one that `module` is in."""
    sha = hashlib.sha256(platform.python_version().encode())
    for name in sorted({"llmconfig_gym", module.partition(".")[0]} & {"llmconfig_gym", "autollmresearch"}):
        (root,) = import_module(name).__path__
        for path in sorted(Path(root).rglob("*.py")):
            sha.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return sha.hexdigest()
