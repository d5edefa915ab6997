"""What `suggest` asks: from a user's file, target and space to a study, new or resumed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autollmresearch.errors import InvalidSettings, StudyProblem
from autollmresearch.live.fidelity import fidelity_of
from autollmresearch.live.runs_file import Evidence, read_evidence
from autollmresearch.live.spec import Spec, digest
from autollmresearch.live.target import parse_target
from autollmresearch.methods import make_policy
from autollmresearch.policies.named import default_policy, fallback
from llmconfig_gym.description import parse_space, read_yaml
from llmconfig_gym.errors import GymError, InvalidDescription
from llmconfig_gym.experiment import Direction, Metric
from llmconfig_gym.importing.names import direction_of
from llmconfig_gym.importing.source import Source
from llmconfig_gym.space import Space

DEFAULT_BUDGET = 3
_SPACE_KEYS = ("task", "metric", "details", "parameters", "fidelities")


@dataclass(frozen=True)
class Question:
    """What a user typed; None where nothing was.

    Attributes:
        source: where the cheaper runs are.
        target: as `parse_target` reads it.
        space: a YAML file with `parameters`.
        metric, direction, budget, policy, seed: see `Spec`.
    """

    source: Path | Source | None = None
    target: str | None = None
    space: Path | None = None
    metric: str | None = None
    direction: Direction | None = None
    budget: int | None = None
    policy: str | None = None
    seed: int | None = None

    def says_something(self) -> bool:
        """Whether it describes a study rather than naming one."""
        return (self.source, self.target, self.space, self.metric, self.direction) != (None,) * 5


def make_spec(q: Question) -> tuple[Spec, tuple[str, ...]]:
    """The study that a question describes, and what a careful reader should hear about it.

    Raises:
        InvalidSettings: something is missing or cannot be read. Also all that `read_evidence` raises.
    """
    if q.target is None:
        raise InvalidSettings("at which scale will the run be made? say --target, such as --target N=7e9,tokens=2e10")
    budget = DEFAULT_BUDGET if q.budget is None else q.budget
    if budget < 1:
        raise InvalidSettings(f"--budget must be at least 1, found {budget}")
    policy = q.policy or default_policy()
    make_policy(policy)
    target = parse_target(q.target)
    space = None if q.space is None else read_space(q.space)
    if q.source is not None:
        found = read_evidence(q.source, target, space, metric=q.metric, direction=q.direction)
    else:
        found = _without_runs(q, target, space)
    source = "" if q.source is None else q.source.name
    spec = Spec(
        found.task,
        found.fidelity,
        found.metric,
        found.space,
        budget,
        policy,
        q.seed or 0,
        found.cheaper,
        found.clip,
        source,
    )
    return spec, (*found.notes, *(() if q.policy else fallback()))


def _without_runs(q: Question, target: dict[str, float | str], space: Space | None) -> Evidence:
    if space is None:
        raise InvalidSettings("say --from FILE with cheaper runs, or at least --space with what may be chosen")
    name = q.metric or "val_loss"
    direction = q.direction or direction_of(name)
    if direction is None:
        raise InvalidSettings(f"whether a larger {name} is better cannot be told from it; say --minimize or --maximize")
    note = "no --from: nothing is known of cheaper runs, and the proposal rests on priors only"
    return Evidence("other", fidelity_of(target), Metric(name, direction), space, (), None, (note,))


def read_space(path: Path) -> Space:
    """The parameters of a YAML file, which may also hold what `llmconfig-gym collect --space` wants.

    Raises:
        InvalidSettings: it cannot be read, or holds no space.
    """
    try:
        data = read_yaml(path, "a space", _SPACE_KEYS)
    except InvalidDescription as problem:
        raise InvalidSettings(str(problem)) from None
    try:
        return parse_space(data.get("parameters"))
    except GymError as problem:
        raise InvalidSettings(f"{path}: {problem}") from None


def check_same(name: str, kept: Spec, q: Question) -> tuple[str, ...]:
    """That what is said of a study again is what is kept of it; notes for people.

    Raises:
        StudyProblem: something differs. Also what `make_spec` raises for what cannot be read.
    """
    said = {
        "policy": (q.policy, kept.policy),
        "seed": (q.seed, kept.seed),
        "metric": (q.metric, kept.metric.name),
        "direction": (q.direction, kept.metric.direction),
        "target": (None if q.target is None else parse_target(q.target), dict(kept.fidelity.values)),
    }
    for what, (told, before) in said.items():
        if told not in (None, before):
            raise _differs(name, what, before, told)
    if q.space is not None and read_space(q.space) != kept.space:
        raise _differs(name, "space", "the one it was made with", f"that of {q.space}")
    if q.source is None:
        return ()
    if not q.source.exists():
        return (f"{q.source} is not there any more; {name} keeps the runs that it was made from",)
    if q.target is not None and digest(make_spec(q)[0].cheaper) != digest(kept.cheaper):
        raise _differs(name, "set of cheaper runs", "those it was made from", f"those of {q.source}")
    return ()


def _differs(name: str, what: str, kept: object, told: object) -> StudyProblem:
    return StudyProblem(
        f"study {name} is there already, with another {what} ({kept}; now {told}): "
        "leave it out to go on with the study, or choose another --study"
    )
