"""`collect` runs real experiments to make a suite; `verify` runs some of a suite's runs again and compares."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmconfig_gym.cli.common import Commands, add_format, add_progress, print_json, print_table
from llmconfig_gym.cli.workers import add_workers, read_workers
from llmconfig_gym.errors import CollectError
from llmconfig_gym.exits import Exit
from llmconfig_gym.text import number, value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmconfig_gym.collect.driver import Group, Runner
    from llmconfig_gym.collect.verify import Check, Plan

COLLECT_EXAMPLES = """it resumes: the same command runs only what is missing. Runs stay in --work until you remove it.

examples:
  llmconfig-gym collect --out my-micro --workers 2
  llmconfig-gym collect --out small --experiments N6k-D262k,N6k-D524k
  llmconfig-gym collect --out mine --command "python train.py --lr {lr} --steps {steps}" --space space.yaml
"""

VERIFY_EXAMPLES = """exit code: 0 if everything is within its tolerance, 1 if not

examples:
  llmconfig-gym verify micro --rows 5
  llmconfig-gym verify ./my-micro --rows 20 --seed 1 --format json
"""


def register(commands: Commands) -> None:
    """Add the two commands."""
    p = commands.add_parser(
        "collect",
        help="run real experiments",
        description="Run a sweep of real experiments and make a suite of it, with all its runs and a card.",
        epilog=COLLECT_EXAMPLES,
    )
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the suite goes")
    p.add_argument("--name", help="what to call the suite (default: the name of DIR)")
    add_workers(p, "1")
    p.add_argument("--work", type=Path, metavar="DIR", help="where runs are kept meanwhile (default: OUT.work)")
    p.add_argument("--replace", action="store_true", help="put the suite in place of the one that DIR holds")
    lab = p.add_argument_group("a sweep of this package")
    lab.add_argument(
        "--runner",
        default="micro",
        help="a task (pretraining, architecture, mixture, grpo), or micro for all of them (default: micro)",
    )
    lab.add_argument("--experiments", metavar="A,B", help="only these sweeps of it (default: all)")
    lab.add_argument("--device", default="cpu", help="as PyTorch names it, e.g. cuda (default: cpu)")
    own = p.add_argument_group("a sweep of your own command")
    own.add_argument("--command", metavar="TEMPLATE", help="e.g. 'python train.py --lr {lr}'; it must print the metric")
    own.add_argument("--space", type=Path, metavar="YAML", help="parameters and fidelities to sweep over")
    own.add_argument("--metric", metavar="NAME", help="what it prints as NAME=... (default: as YAML says, or val_loss)")
    own.add_argument("--timeout", type=float, metavar="S", help="seconds after which a run has failed (default: never)")
    add_progress(p)
    add_format(p)
    hint = "Finished runs are kept; run the same command again to go on."
    p.set_defaults(run=run_collect, resume_hint=hint)

    p = commands.add_parser(
        "verify",
        help="run some of a suite's runs again",
        description="Check that a suite's tables follow from its runs, and run some of these again.",
        epilog=VERIFY_EXAMPLES,
    )
    p.add_argument("suite", metavar="SUITE", help="a suite made by `collect`: micro, or the path of its directory")
    p.add_argument("--rows", type=int, default=5, metavar="K", help="how many runs (default: 5)")
    p.add_argument("--seed", type=int, help="which runs are drawn (default: others each time)")
    p.add_argument("--device", help="as PyTorch names it (default: that of the suite)")
    add_progress(p)
    add_format(p)
    p.set_defaults(run=run_verify, resume_hint="Nothing was changed; --seed draws the same runs again.")


def run_collect(args: argparse.Namespace) -> int:
    from llmconfig_gym.collect.driver import collect, remaining
    from llmconfig_gym.collect.embed import check_name, check_place, embed
    from llmconfig_gym.collect.quality import quality

    out: Path = args.out
    work: Path = args.work or out.with_name(out.name + ".work")
    name = args.name or out.resolve().name
    check_name(name)
    check_place(out, replace=args.replace)
    workers = read_workers(args, 1, CollectError)
    runner = _runner(args, work)
    manifest = runner.manifest()
    _announce(runner.groups(), remaining(runner, work), args.workers or 1)
    rows = collect(runner, work, workers=workers, progress=args.progress)
    suite = embed(runner, rows, out, name=name, manifest=manifest, command=_command(args, name))
    found = [quality(suite.experiment(i)) for i in suite.ids]
    lost = sum(r.measurement.status != "ok" for r in rows)
    if args.format == "json":
        print_json(
            {
                "suite": name,
                "path": str(out),
                "runs": len(rows),
                "diverged_or_failed": lost,
                "core_seconds": sum(r.measurement.seconds for r in rows),
                "experiments": [{"id": q.experiment, "best": dict(q.best), "value": q.value} for q in found],
            }
        )
        return 0
    headers = ("experiment", "configurations", "best configuration", "value", "(median - best) / noise", "informative")
    print_table(
        headers,
        [
            (
                q.experiment,
                q.configurations,
                _config(q.best),
                number(q.value, digits=5),
                f"{q.ratio:.1f}",
                "no" if q.shortcomings else "yes",
            )
            for q in found
        ],
    )
    print(f"\n{out}: {len(rows)} runs, {lost} of them diverged or failed; its card is {out / 'README.md'}")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    import secrets

    from llmconfig_gym.catalog import suite_path
    from llmconfig_gym.collect.verify import plan, verify

    seed = secrets.randbelow(10_000) if args.seed is None else args.seed
    chosen = plan(suite_path(args.suite), args.rows, seed, args.device)
    print(f"{args.rows} runs (--seed {seed}), {_time(chosen.seconds)} on one core", file=sys.stderr)
    for note in chosen.notes:
        print(f"note: {note}", file=sys.stderr)
    checks = verify(chosen, progress=args.progress)
    ok = not chosen.problems and all(c.ok for c in checks)
    if args.format == "json":
        print_json(_verified(chosen, checks, seed, ok))
    else:
        headers = ("experiment", "configuration", "seed", "stored", "found", "difference", "tolerance", "ok")
        print_table(headers, [_check_row(c) for c in checks])
        print()
        for problem in chosen.problems:
            print(f"wrong: {problem}")
        exact = sum(c.exact for c in checks)
        print(f"{sum(c.ok for c in checks)} of {len(checks)} runs came out as stored, {exact} of them exactly")
    return Exit.DONE if ok else Exit.NO


def _runner(args: argparse.Namespace, work: Path) -> Runner:
    from llmconfig_gym.collect.command import CommandRunner
    from llmconfig_gym.collect.runners import runner_named
    from llmconfig_gym.collect.sweep_file import read_sweep

    if (args.command is None) != (args.space is None):
        raise CollectError("--command and --space go together: what to run, and over what")
    if args.command is None:
        experiments = args.experiments.split(",") if args.experiments else None
        return runner_named(args.runner, experiments, args.device, cache=work / "bases")
    if args.timeout is not None and not args.timeout > 0:
        raise CollectError(f"--timeout must be more than 0 seconds, found {args.timeout}")
    return CommandRunner(args.command, read_sweep(args.space, args.metric), (work / "logs").absolute(), args.timeout)


def _announce(groups: Sequence[Group], missing: Sequence[Group], workers: int) -> None:
    """Say what is about to happen, on standard error."""
    runs, left = (sum(len(g.runs) for g in some) for some in (groups, missing))
    seconds = sum(g.seconds for g in missing)
    if not left:
        print(f"all {runs} runs are measured already", file=sys.stderr)
        return
    measured = f" ({runs - left} of {runs} are measured already)" if left < runs else ""
    time = f", {_time(seconds)} of one core, on {workers} at a time" if all(g.seconds for g in missing) else ""
    print(f"{left} runs{measured}{time}", file=sys.stderr)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(seconds, 1):.0f} seconds"
    return f"about {seconds / 60:.0f} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"


def _command(args: argparse.Namespace, name: str) -> str:
    """What a user types to make the suite again, whatever the places it was made in."""
    parts = ["llmconfig-gym collect", f"--out {name}"]
    if args.command is not None:
        parts += [f"--command {shlex.quote(args.command)}", f"--space {args.space.name}"]
        parts += [f"--metric {args.metric}"] if args.metric else []
        return " ".join(parts)
    parts += [f"--runner {args.runner}"] if args.runner != "micro" else []
    parts += [f"--experiments {args.experiments}"] if args.experiments else []
    parts += [f"--device {args.device}"] if args.device != "cpu" else []
    return " ".join(parts)


def _config(config: Any) -> str:
    return ", ".join(f"{k} {value_text(v)}" for k, v in config.items())


def _check_row(c: Check) -> tuple[object, ...]:
    stored, found = ("none" if v is None else f"{v:.5f}" for v in (c.stored, c.found))
    told = (stored, found, f"{c.difference:+.5f}", f"{c.tolerance:.5f}", "yes" if c.ok else "NO")
    return (c.experiment, _config(c.config), c.seed, *told)


def _verified(chosen: Plan, checks: Sequence[Check], seed: int, ok: bool) -> dict[str, Any]:
    return {
        "suite": chosen.suite.name,
        "seed": seed,
        "ok": ok,
        "problems": list(chosen.problems),
        "notes": list(chosen.notes),
        "checks": [
            {
                "experiment": c.experiment,
                "config": dict(c.config),
                "seed": c.seed,
                "stored": c.stored,
                "found": c.found,
                "difference": c.difference,
                "tolerance": c.tolerance,
                "exact": c.exact,
                "ok": c.ok,
            }
            for c in checks
        ],
    }
