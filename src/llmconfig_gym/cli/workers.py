"""The options of every command that runs jobs side by side: how many, where, and with what."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmconfig_gym.parallel import Workers


def add_workers(parser: argparse.ArgumentParser, processes: str) -> None:
    """`--workers`, `--backend` and `--gpus`; `processes` says what `--workers` is by default on one machine."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="K",
        help=f"processes, one core each (default: {processes}; with --backend ray, all cores of the cluster)",
    )
    parser.add_argument(
        "--backend",
        choices=("local", "ray"),
        default="local",
        help="processes of this machine, or a Ray cluster (default: local)",
    )
    parser.add_argument("--gpus", type=float, metavar="G", help="GPUs of each job, with --backend ray (default: 0)")


def read_workers(args: argparse.Namespace, processes: int, refuse: type[Exception]) -> Workers:
    """What `add_workers` asked for; `processes` on one machine by default.

    Raises:
        refuse: a number is out of range, or `--gpus` has no backend that could keep to it.
    """
    from llmconfig_gym.parallel import Cluster

    if args.workers is not None and args.workers < 1:
        raise refuse(f"--workers must be at least 1, found {args.workers}")
    if args.gpus is not None and (args.backend != "ray" or not args.gpus >= 0):
        raise refuse(f"--gpus is a number of at least 0 and goes with --backend ray, found {args.gpus:g}")
    if args.backend == "ray":
        return Cluster(args.workers, args.gpus or 0.0)
    return args.workers or processes
