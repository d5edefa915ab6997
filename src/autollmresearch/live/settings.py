"""Settings of `autollmresearch run`: the YAML file that says what is run, over what, and how its outcome is read.

name: my-study
command: python {here}/train.py --lr {lr} --width {N} --tokens {tokens} --seed {seed}
metric: {name: val_loss, direction: minimize, from: stdout}
parameters:                                   # what may be chosen, as for `collect --space`, of any kind
  - {kind: real, name: lr, low: 1e-4, high: 1e-1, log: true}
target: {N: 7B, tokens: 20e9}                 # the expensive run
budget: 3                                     # and how many of it
fidelities:                                   # optional: cheap runs that come first
  - {N: 100M, tokens: 1e9, budget: 8, design: space-filling}

Optional: directory, storage, env, timeout (seconds), retries, task, details, evidence (files of earlier runs), policy,
seed. Every relative path is relative to the file. The metric comes from `stdout` (the last `val_loss=...`), from
`{stdout: PATTERN}` (a regular expression with one group), `{file: metrics.json, key: eval.loss}` (JSON, in the
trial's directory) or `report` (JSON that the command writes to the path in $AUTOLLMRESEARCH_REPORT).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeAlias

from autollmresearch.errors import InvalidSettings, ResearchError, StudyProblem
from autollmresearch.live.fidelity import fidelity_of
from autollmresearch.live.target import check_scale
from autollmresearch.methods import make_policy
from autollmresearch.policies.named import decoding, default_policy
from llmconfig_gym.description import as_quantity, parse_metric, parse_space, read_yaml, require
from llmconfig_gym.errors import GymError, InvalidDescription
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.files import is_file_name, is_inside
from llmconfig_gym.parameter import Simplex
from llmconfig_gym.plain import is_number, is_text
from llmconfig_gym.space import Space
from llmconfig_gym.template import Template

KEYS = (
    *("name", "directory", "storage", "command", "env", "timeout", "retries", "task", "metric", "details"),
    *("parameters", "target", "budget", "evidence", "policy", "seed", "fidelities"),
)
SETTINGS = "settings.json"
"""Where the resolved settings are saved, in the study's directory."""

DESIGNS = ("space-filling", "policy")
OWN_NAMES = ("seed", "trial", "dir", "here", "config")
"""Placeholders beside the parameters and what is scaled: the seed, the trial's number, its directory, the directory
of the settings file, and a JSON file with the whole configuration."""

MAY_CHANGE = ("budget", "timeout", "retries", "env", "command", "source")
"""Settings that may differ when a study is resumed: they decide no configuration, and a command may need mending."""

Design: TypeAlias = Literal["space-filling", "policy"]


@dataclass(frozen=True)
class MetricSource:
    """Where a trial's metric is read from.

    Attributes:
        kind: `stdout`, `file` or `report`.
        pattern: of stdout: a regular expression with one group; empty for the last `NAME=number`.
        file, key: the JSON file in the trial's directory, and where in it (dots descend).
    """

    kind: Literal["stdout", "file", "report"] = "stdout"
    pattern: str = ""
    file: str = ""
    key: str = ""


@dataclass(frozen=True)
class Phase:
    """Cheap runs that come first.

    Attributes:
        fidelity: at which scale.
        budget: how many.
        design: `space-filling` (a Sobol design), or `policy` (each proposed from those before).
    """

    fidelity: Fidelity
    budget: int
    design: Design = "space-filling"


@dataclass(frozen=True)
class RunSettings:
    """What `run` runs, with every default filled in. See the module for the words."""

    here: str
    name: str
    directory: str
    storage: str
    command: tuple[str, ...]
    metric: Metric
    source: MetricSource
    space: Space
    target: Fidelity
    budget: int
    task: str = "other"
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    retries: int = 1
    evidence: tuple[str, ...] = ()
    policy: str = field(default_factory=default_policy)
    seed: int = 0
    phases: tuple[Phase, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data: the resolved settings, as they are saved; of the environment only whether it changes."""
        from autollmresearch.live.storage import without_password

        data = {k: v for k, v in asdict(self).items() if k != "space"}
        data |= {"storage": without_password(self.storage), "env": {k: _digest(v) for k, v in self.env.items()}}
        return {**data, "space": self.space.to_list()}


def _digest(secret: str) -> str:
    """Enough to tell one value from another, too little to tell a value."""
    return f"sha256 {hashlib.sha256(secret.encode()).hexdigest()[:8]}"


def read_saved(directory: Path) -> dict[str, Any]:
    """The resolved settings that were saved with a study.

    Raises:
        StudyProblem: they are damaged.
    """
    path = directory / SETTINGS
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not all(is_text(data.get(k)) for k in ("name", "storage")):
        raise StudyProblem(f"{path} is damaged; restore it, or choose another name for the study")
    return data


def read_settings(path: Path, *, policy: str | None = None, decode: str | None = None) -> RunSettings:
    """The settings that a YAML file describes.

    Args:
        policy: in place of the file's.
        decode: how the policy decodes, in place of what its name says.

    Raises:
        InvalidSettings: the file cannot be read, or something in it is missing, unknown or of the wrong kind.
    """
    try:
        data = read_yaml(path, "a study", KEYS)
    except InvalidDescription as problem:
        raise InvalidSettings(str(problem)) from None
    try:
        return _settings(data, path.resolve().parent, policy, decode)
    except (ResearchError, GymError) as problem:
        raise InvalidSettings(f"{path}: {problem}") from None


def _settings(data: Mapping[str, Any], here: Path, policy: str | None, decode: str | None) -> RunSettings:
    for key in ("name", "command", "parameters", "target", "budget"):
        require(key in data, f"a study says its {key}", ", ".join(data) or "nothing")
    name = data["name"]
    fits = is_text(name) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", name) and is_file_name(name)
    require(fits, "name is a word of letters, digits and . _ -", name)
    for key, kind in (("directory", is_text), ("storage", is_text), ("task", is_text), ("policy", is_text)):
        require(key not in data or kind(data[key]), f"{key} is a text", data.get(key))
    metric = data.get("metric", {})
    source = metric.pop("from", "stdout") if isinstance(metric, dict) else "stdout"
    told = parse_metric(metric, data.get("details", {}))
    space = parse_space(data["parameters"])
    target = _scale(data["target"])
    directory = (here / data.get("directory", f"runs/{name}")).resolve()
    chosen = policy or data.get("policy") or _kept_policy(directory) or default_policy()
    if decode is not None:
        chosen = decoding(chosen, decode)
    make_policy(chosen)
    settings = RunSettings(
        here=str(here),
        name=name,
        directory=str(directory),
        storage=_storage(data.get("storage"), here, directory),
        command=_command(data["command"], here),
        metric=told,
        source=_source(source, told.name),
        space=space,
        target=target,
        budget=_count("budget", data["budget"]),
        task=data.get("task", "other"),
        env=_env(data.get("env", {})),
        timeout=_seconds(data.get("timeout")),
        retries=_count("retries", data.get("retries", 1), least=0),
        evidence=_files(data.get("evidence", []), here),
        policy=chosen,
        seed=_count("seed", data.get("seed", 0), least=0),
        phases=_phases(data.get("fidelities", []), target),
    )
    _check_command(settings)
    return settings


def _kept_policy(directory: Path) -> str | None:
    """Who proposes in a study that was begun here, for one that is resumed; None where none was."""
    kept = read_saved(directory).get("policy") if (directory / SETTINGS).is_file() else None
    return kept if is_text(kept) else None


def _command(data: object, here: Path) -> tuple[str, ...]:
    fits = is_text(data) or (isinstance(data, list) and data and all(is_text(p) for p in data))
    require(fits, "command is a text, or a list of texts", data)
    template = Template.parse(data, "command")  # type: ignore[arg-type]  # just checked
    for part in template.parts:
        if not Path(part).is_absolute() and "/" not in part[:1] and _is_file(here / part):
            raise InvalidSettings(
                f"command names {part}, which lies beside the settings; each trial runs in a directory of its own, "
                f"so write {{here}}/{part}"
            )
    return template.parts


def _is_file(path: Path) -> bool:
    """Whether there is a file; a whole program after `-c` is longer than names may be, and is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _check_command(s: RunSettings) -> None:
    """Whether the command is told everything, and asks for nothing unknown."""
    asked = Template(s.command).names
    told = {n for p in s.space.parameters for n in placeholders(p.name, s.space)}
    known = {*told, *s.target.values, *OWN_NAMES}
    for name in sorted(asked | {n for v in s.env.values() for n in Template((v,)).names}):
        if name not in known:
            close = get_close_matches(name, sorted(known), n=1)
            advice = f"did you mean {{{close[0]}}}? " if close else ""
            raise InvalidSettings(f"command asks for {{{name}}}; {advice}known: {', '.join(sorted(known))}")
    clash = sorted({*s.space.names, *s.target.values} & {*OWN_NAMES}) or sorted({*s.space.names} & {*s.target.values})
    if clash:
        raise InvalidSettings(f"{clash[0]} is the name of two things; call the parameter or the scale otherwise")
    missing = sorted(told - asked)
    if missing and "config" not in asked:
        raise InvalidSettings(
            f"command has no {{{missing[0]}}}: what is not told to it cannot be chosen "
            "({config} is the path of a JSON file with everything)"
        )


def placeholders(name: str, space: Space) -> tuple[str, ...]:
    """What a parameter is called in a command: its name; for a mixture `name.component`."""
    p = space[name]
    return tuple(f"{name}.{c}" for c in p.components) if isinstance(p, Simplex) else (name,)


def _source(data: object, metric: str) -> MetricSource:
    expected = "metric's from is stdout, {stdout: PATTERN}, {file: NAME, key: KEY} or report"
    if data in ("stdout", "report"):
        return MetricSource("report" if data == "report" else "stdout")
    require(isinstance(data, dict) and all(is_text(v) for v in data.values()), expected, data)
    assert isinstance(data, dict)
    if set(data) == {"stdout"}:
        try:
            groups = re.compile(data["stdout"]).groups
        except re.error as problem:
            raise InvalidSettings(f"metric's pattern {data['stdout']!r} is no regular expression: {problem}") from None
        require(groups == 1, "metric's pattern is a regular expression with one group (...)", data["stdout"])
        return MetricSource("stdout", pattern=data["stdout"])
    require("file" in data and set(data) <= {"file", "key"}, expected, data)
    require(is_inside(data["file"]), "metric's file lies in the trial's directory", data["file"])
    return MetricSource("file", file=data["file"], key=data.get("key", metric))


def _scale(data: object) -> Fidelity:
    require(isinstance(data, dict) and data, "target maps what is scaled to a value, such as {N: 7B}", data)
    assert isinstance(data, dict)
    require(all(is_text(k) for k in data), "target maps names to values", data)
    return fidelity_of({k: check_scale(k, v) for k, v in data.items()})


def _phases(data: object, target: Fidelity) -> tuple[Phase, ...]:
    fits = isinstance(data, list) and all(isinstance(d, dict) for d in data)
    require(fits, "fidelities is a list of mappings such as {N: 100M, budget: 8}", data)
    assert isinstance(data, list)
    phases = []
    for values in (dict(d) for d in data):
        require("budget" in values, "a cheap fidelity says its budget", values)
        budget, design = _count("budget", values.pop("budget")), values.pop("design", DESIGNS[0])
        require(design in DESIGNS, f"design is one of {', '.join(DESIGNS)}", design)
        fits = set(values) == set(target.values)
        require(fits, f"a cheap fidelity says what the target does ({', '.join(target.values)})", values)
        phases.append(Phase(_scale(values), budget, design))
    for i, phase in enumerate(phases):
        twice = phase.fidelity.values in [target.values, *(p.fidelity.values for p in phases[:i])]
        require(not twice, "fidelities differ from each other and from the target", phase.fidelity.values)
    return tuple(sorted(phases, key=lambda p: p.fidelity.cost))


def _storage(data: object, here: Path, directory: Path) -> str:
    """The URL; a relative SQLite path is relative to the settings file."""
    if data is None:
        return f"sqlite:///{directory / 'study.db'}"
    assert isinstance(data, str)
    path = data.removeprefix("sqlite:///")
    return f"sqlite:///{here / path}" if path != data and path else data


def _env(data: object) -> dict[str, str]:
    fits = isinstance(data, dict) and all(is_text(k) and (is_text(v) or is_number(v)) for k, v in data.items())
    if not fits:  # what was found may be secret
        wrong = [str(k) for k, v in data.items() if not (is_text(v) or is_number(v))] if isinstance(data, dict) else []
        found = f"another kind of value under {wrong[0]}" if wrong else f"a {type(data).__name__}"
        raise InvalidSettings(f"env maps names to texts; found {found}")
    assert isinstance(data, dict)
    return {k: str(v) for k, v in data.items()}


def _files(data: object, here: Path) -> tuple[str, ...]:
    listed = [data] if is_text(data) else data
    require(isinstance(listed, list) and all(is_text(f) for f in listed), "evidence is a list of files", data)
    assert isinstance(listed, list)
    return tuple(str(here / f) for f in listed)


def _seconds(data: object) -> float | None:
    if data is None:
        return None
    require(is_number(data) and float(data) > 0, "timeout is a number of seconds", data)  # type: ignore[arg-type]
    return float(data)  # type: ignore[arg-type]  # just checked


def _count(name: str, data: object, least: int = 1) -> int:
    value = as_quantity(data)
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    require(fits, f"{name} is a whole number of at least {least}", data)
    assert isinstance(value, int)
    return value
