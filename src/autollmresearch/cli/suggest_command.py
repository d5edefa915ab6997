"""`suggest` says what to run next, and why."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from autollmresearch.cli.study_commands import add_decode, add_storage, expected_text
from autollmresearch.live.reach import DEFAULT_STORAGE
from llmconfig_gym.cli.common import Commands, add_format, add_progress, print_json
from llmconfig_gym.text import value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tqdm import tqdm

    from autollmresearch.live.ask import Question
    from autollmresearch.live.spec import Spec
    from autollmresearch.live.study import LiveStudy
    from autollmresearch.live.trial import LiveTrial
    from autollmresearch.policy import Proposal
    from llmconfig_gym.space import Config

SUGGEST_EXAMPLES = """examples:
  autollmresearch suggest --from runs.csv --target N=7e9,tokens=2e10 --space space.yaml --budget 3
  autollmresearch suggest --from runs.csv --target N=7B,tokens=20B --space space.yaml --budget 3 --study big
  autollmresearch suggest --study big

With --study the trial is kept and counts against the budget until you tell its outcome. Asked again meanwhile, the same
trial is shown again and nothing is spent; --another opens a second one beside it.
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "suggest",
        help="say what to run next, and why",
        description="Propose the configuration of the next expensive run from cheaper runs.",
        epilog=SUGGEST_EXAMPLES,
    )
    kinds = ".csv, .tsv, .json, .jsonl, .parquet, or what MLflow, trackio or Optuna keep"
    p.add_argument("--from", dest="source", metavar="RUNS", help=f"cheaper runs: {kinds}")
    p.add_argument("--target", metavar="N=7B,tokens=20B", help="at which scale the expensive run will be made")
    p.add_argument("--space", type=Path, metavar="YAML", help="what may be chosen (default: the range of the runs)")
    p.add_argument("--budget", type=int, metavar="T", help="how many expensive runs you can afford (3)")
    p.add_argument("--metric", metavar="COLUMN", help="what is optimised (default: guessed from the names)")
    better = p.add_mutually_exclusive_group()
    better.add_argument("--minimize", dest="direction", action="store_const", const="minimize", help="lower is better")
    better.add_argument("--maximize", dest="direction", action="store_const", const="maximize", help="higher is better")
    p.add_argument("--study", metavar="NAME", help="keep the trial in a study of this name")
    add_storage(p)
    p.add_argument("--another", action="store_true", help="open another trial though one is open")
    p.add_argument("--policy", metavar="NAME", help="who proposes, a method of `benchmark` (researcher-mini)")
    add_decode(p)
    p.add_argument("--seed", type=int, help="of the policy's own randomness (0)")
    add_progress(p)
    add_format(p)
    hint = "Say the same again; a trial that was kept meanwhile is shown again."
    p.set_defaults(run=run_suggest, resume_hint=hint)


def run_suggest(args: argparse.Namespace) -> int:
    from autollmresearch.errors import InvalidSettings
    from autollmresearch.live.ask import Question, make_spec
    from autollmresearch.live.propose import propose
    from autollmresearch.policies.named import decoding, default_policy
    from llmconfig_gym.importing.source import Source

    policy = decoding(args.policy or default_policy(), args.decode) if args.decode else args.policy
    source = None if args.source is None else Source.of(args.source)
    question = Question(source, args.target, args.space, args.metric, args.direction, args.budget, policy, args.seed)
    if args.study is not None and not args.study.strip():
        raise InvalidSettings("--study needs a name, such as --study big")
    if args.study is not None:
        return _suggest_in_study(args, question)
    if args.storage is not None or args.another:
        raise InvalidSettings("--storage and --another need --study: the name under which the trial is kept")
    with _bar(args) as bar:
        spec, notes = make_spec(question)
        bar.update()
        proposal, config = propose(spec)
        bar.update()
    name = (spec.source.partition(".")[0] or "mine") if spec.source else "mine"
    keep = shlex.join(["autollmresearch", *_argv(args), "--study", name])
    if args.format == "json":
        data = _document(spec, config, proposal, notes)
        print_json({"study": None, "trial": None, **data, "used": 0, "left": spec.budget, "keep": keep})
        return 0
    _notes(notes)
    print(f"trial 0, not kept (0 of {spec.budget} used)\n")
    _print_proposal(spec, config, proposal)
    print(f"\nnothing is kept yet. To record its outcome, keep the same trial in a study:\n  {keep}")
    print(f"and when the run is over:\n  autollmresearch tell {shlex.quote(name)} 0 VALUE")
    return 0


def _bar(args: argparse.Namespace) -> tqdm[NoReturn]:
    """Two steps, on a terminal: reading the cheaper runs, and asking the policy, which may have to be loaded first."""
    from tqdm import tqdm

    return tqdm(total=2, desc="suggest", unit="step", leave=False, disable=None if args.progress else True)


def _argv(args: argparse.Namespace) -> list[str]:
    """The command as it was given, without its format."""
    said = {"--from": args.source, "--target": args.target, "--space": args.space, "--budget": args.budget}
    said |= {"--metric": args.metric, "--policy": args.policy, "--decode": args.decode, "--seed": args.seed}
    argv = ["suggest"]
    for option, value in said.items():
        argv += [] if value is None else [option, str(value)]
    return argv + ([f"--{args.direction}"] if args.direction else [])


def _suggest_in_study(args: argparse.Namespace, question: Question) -> int:
    from autollmresearch.live.propose import next_trial

    with _bar(args) as bar:
        study, notes = _reached(args, question)
        bar.update()
        trial, new = next_trial(study, another=args.another)
        bar.update()
    if not new:
        since = "" if trial.started is None else f" since {trial.started:%Y-%m-%d %H:%M}"
        again = f"trial {trial.number} is open{since}: it is shown again, and nothing is spent"
        notes = (*notes, f"{again} (--another opens a second one)")
    used = len(study.trials())
    left = study.spec.budget - used
    tell = f"autollmresearch tell {shlex.quote(study.name)} {trial.number}"
    place = "" if study.url == DEFAULT_STORAGE else f" --storage {shlex.quote(study.place)}"
    if args.format == "json":
        where = {"study": study.name, "storage": study.place, "trial": trial.number, "new": new}
        data = _document(study.spec, trial.config, trial, notes)
        record = {"record": f"{tell} VALUE{place}", "record_failure": f"{tell} --failed REASON{place}"}
        print_json({**where, **data, "used": used, "left": left, **record})
        return 0
    _notes(notes)
    after = f"{left} left after it" if left else "the last one"
    print(f"trial {trial.number} of {study.name} ({used} of {study.spec.budget} used, {after})\n")
    _print_proposal(study.spec, trial.config, trial)
    print(f"\nwhen the run is over:\n  {tell} VALUE{place}")
    print(f'if it gave no value:\n  {tell} --failed "why"{place}')
    return 0


def _reached(args: argparse.Namespace, question: Question) -> tuple[LiveStudy, tuple[str, ...]]:
    """The study that is named: the one that is there, or a new one."""
    from autollmresearch.errors import InvalidSettings, StudyProblem
    from autollmresearch.live.ask import check_same, make_spec
    from autollmresearch.live.runner import RUN
    from autollmresearch.live.study import create_study, find_study, load_study

    url = args.storage or DEFAULT_STORAGE
    study = find_study(args.study, url)
    if study is None and not question.says_something():
        study = load_study(args.study, url)  # raises, and says which studies there are
    if study is None:
        spec, notes = make_spec(question)
        return create_study(args.study, url, spec), notes
    notes, budget = check_same(study.name, study.spec, question), study.spec.budget
    if (run := study.recall(RUN)) is not None:
        raise StudyProblem(f"{study.name} is run by `autollmresearch run` in {run['directory']}, which proposes itself")
    if args.budget is not None and args.budget < budget:
        raise InvalidSettings(f"--budget {args.budget}: {study.name} has {budget}, and it can only be raised")
    if args.budget is not None and args.budget > budget:
        notes = (*notes, f"the budget is raised from {budget} to {args.budget}")
        study.change_budget(args.budget)
    return study, notes


def _document(spec: Spec, config: Config, proposal: Proposal | LiveTrial, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "config": dict(config),
        "reasoning": proposal.reasoning,
        "trends": proposal.trends,
        "expected": proposal.mean,
        "expected_sd": proposal.sd,
        "candidates": [c.to_dict() for c in proposal.candidates],
        "metric": {"name": spec.metric.name, "direction": spec.metric.direction},
        "target": dict(spec.fidelity.values),
        "policy": spec.policy,
        "evidence": sum(len(r.losses) for r in spec.cheaper),
        "budget": spec.budget,
        "notes": list(notes),
    }


def _notes(notes: Sequence[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _print_proposal(spec: Spec, config: Config, proposal: Proposal | LiveTrial) -> None:
    from autollmresearch.dialogue import values
    from autollmresearch.live.trial import sentences

    width = max(map(len, config))
    for name, value in config.items():
        print(f"  {name:<{width}}  {_exact(value)}")
    print()
    for label, text in (("why:", proposal.reasoning or "no reason given"), ("trends:", proposal.trends)):
        for i, sentence in enumerate(sentences(text)):
            print(f"{'' if i else label:<9} {sentence}")
    print(f"by:       {spec.policy}")
    print(f"expected: {expected_text(spec, proposal.mean, proposal.sd)}")
    for i, c in enumerate(proposal.candidates):
        print(f"{'best:' if i == 0 else '':<9} {percent(c.probability)} {values(c.config)}")
    known = sum(len(r.losses) for r in spec.cheaper)
    where = f" of {spec.source}" if spec.source else ""
    scales = f" at {len(spec.cheaper)} scale{'s' if len(spec.cheaper) != 1 else ''}" if known else ""
    print(f"from:     {known} cheaper runs{where}{scales}, for {spec.fidelity.text()}")


def percent(probability: float) -> str:
    """A probability as it is printed, all of one width."""
    return " <1 %" if probability < 0.01 else f"{100 * probability:3.0f} %"


def _exact(value: Any) -> str:
    """A value with all the digits that a user must type."""
    if isinstance(value, dict):
        return ", ".join(f"{k} {v:.4g}" for k, v in value.items())
    return f"{value:.10g}" if isinstance(value, float) else value_text(value) if isinstance(value, bool) else str(value)
