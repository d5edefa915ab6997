"""Thoughts: why an expert chooses a configuration, in a few short sentences that are true.

A thought quotes numbers that stand in what was read (best runs of cheaper experiments, earlier trials) and says, one
parameter at a time, where the choice lies from there. Every claim has one of a few forms, so that a program can check
each (`quoted`, `contradictions`).

    From tokens 4.0e9 to 2.0e10 the best lr fell from 2.76e-3 to 1.95e-3: lower, 1.38e-3; batch_size stayed 64:
    keep.
    Best so far is trial 1, 2.5379, with lr 1.38e-3: lower, 9.77e-4; batch_size 128: keep.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.dialogue import Style, candidates, shown
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.policy import State
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.parameter import Simplex, Value
from llmconfig_gym.space import Config, Space
from llmconfig_gym.text import number, value_text

MOST = 4
"""Settings that one thought speaks of at most: of more, those that change first."""

MOST_SHARES = 3
"""Shares of a mixture that one thought speaks of at most: those that change most."""


@dataclass(frozen=True)
class Item:
    """One setting in three configurations: the best at the cheapest and at the dearest experiment, and the choice.

    `share` says that it is a share of a mixture.
    """

    name: str
    old: Value
    near: Value
    choice: Value
    share: bool = False


PHRASES = (
    *("<think>From ", "<think>At ", "<think>Best so far is trial ", ", with ", " the best run had ", " the best "),
    *("<think>Candidate ", " is expected at ", "<think>None of the candidates. "),
    *(
        "stayed ",
        "rose from ",
        "fell from ",
        "went from ",
        " to ",
        ": lower, ",
        ": higher, ",
        ": keep; ",
        ": change to ",
    ),
    *('.</think>\n<config>{"', ': keep.</think>\n<config>{"', "}</config>", '": ', ', "'),
)
"""What thoughts and actions are made of beside names and numbers; a tokenizer may make one token of each."""


def thought(state: State, config: Config, style: Style | None = None) -> str:
    """Why `config`, after what this state shows in a prompt of this style."""
    style = style or Style()
    return (_from_evidence(state, config, style) if style.evidence else "") + _from_runs(state, config, style)


def _from_evidence(state: State, config: Config, style: Style) -> str:
    """Which of the analyst's candidates this is, and what is expected there."""
    for i, candidate in enumerate(candidates(state, style), start=1):
        if candidate.config == config:
            return f"Candidate {i} is expected at {candidate.mean} +- {candidate.sd}. "
    return "None of the candidates. "


def _from_runs(state: State, config: Config, style: Style) -> str:
    """From the best trial; before there is one, from the best runs of the cheapest and of the dearest experiment."""
    sign, best = state.problem.metric.sign, None
    for i, trial in enumerate(state.trials):
        if trial.config is not None and trial.value is not None and (best is None or sign * trial.value < best[0]):
            best = (sign * trial.value, i, trial)
    if best is not None:
        value, i, trial = best
        return _from_trial(state.problem.space, i, trial.config or {}, sign * value, config)
    lost = "That gave no value. " if state.trials else ""
    runs = shown(state.problem.cheaper, style.experiments)
    if not runs or style.top < 1:
        return f"{lost}Nothing cheaper is known: a guess."
    return lost + _from_cheaper(runs[0], runs[-1], state.problem.space, config, style)


def _from_cheaper(first: CheapRuns, last: CheapRuns, space: Space, config: Config, style: Style) -> str:
    """From the best runs of the cheapest and of the dearest experiment shown."""
    old, near = (r.pool.config(int(np.argsort(r.losses, kind="stable")[0])) for r in (first, last))
    items = _items(space, old, near, config)
    name, at = _scale(last.fidelity, first.fidelity)
    if not style.fidelity:
        if first is last:
            return f"The best run had {_from_here(items)}."
        return "From the cheapest to the dearest the best " + _moves(items)
    if first is last:
        return f"At {name} {at} the best run had {_from_here(items)}."
    other, start = _scale(first.fidelity, last.fidelity)
    end = at if other == name else f"{name} {at}"
    return f"From {other} {start} to {end} the best " + _moves(items)


def _moves(items: Sequence[Item]) -> str:
    return "; ".join(f"{i.name} {_trend(i)}: {_step(i)}" for i in items) + "."


def _from_trial(space: Space, trial: int, best: Config, value: float, config: Config) -> str:
    """From the best trial so far."""
    return (
        f"Best so far is trial {trial + 1}, {number(value, 5)}, with {_from_here(_items(space, best, best, config))}."
    )


def _from_here(items: Sequence[Item]) -> str:
    return "; ".join(f"{i.name} {_text(i, i.near)}: {_step(i)}" for i in items)


def _items(space: Space, old: Config, near: Config, config: Config) -> list[Item]:
    """What is worth speaking of, in the order of the space. All three are configurations, perhaps of other spaces."""
    items = []
    for p in space.parameters:
        values = [c.get(p.name) for c in (old, near, config)]
        if isinstance(p, Simplex):
            shares = [v if isinstance(v, Mapping) else {} for v in values]
            for c in p.components:
                old_, near_, choice = (float(s.get(c, 0.0)) for s in shares)
                items.append(Item(c, old_, near_, choice, share=True))
        elif None not in values:
            items.append(Item(p.name, *values))  # type: ignore[arg-type]  # none is None
    shares_ = sorted((i for i in items if i.share), key=_moved, reverse=True)[:MOST_SHARES]
    others = sorted((i for i in items if not i.share), key=lambda i: _text(i, i.choice) == _text(i, i.near))[:MOST]
    names = {i.name for i in (*shares_, *others)}
    return [i for i in items if i.name in names]


def _moved(item: Item) -> float:
    return abs(_size(item.choice) - _size(item.near))


def _trend(item: Item) -> str:
    old, near = _text(item, item.old), _text(item, item.near)
    if old == near:
        return f"stayed {near}"
    if isinstance(item.near, str | bool):
        return f"went from {old} to {near}"
    return f"{'rose' if _size(item.near) > _size(item.old) else 'fell'} from {old} to {near}"


def _step(item: Item) -> str:
    near, choice = _text(item, item.near), _text(item, item.choice)
    if choice == near:
        return "keep"
    if isinstance(item.choice, str | bool):
        return f"change to {choice}"
    return f"{'higher' if _size(item.choice) > _size(item.near) else 'lower'}, {choice}"


def _text(item: Item, value: Value) -> str:
    """As the prompt writes it; it leaves a mixture's empty shares out."""
    return "none" if item.share and not value else value_text(value)


def _size(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _scale(at: Fidelity, other: Fidelity) -> tuple[str, str]:
    """The first number in which two fidelities differ (of one, its first number): its name and value."""
    for name, value in at.values.items():
        if isinstance(value, int | float) and (at is other or value != other.values.get(name)):
            return name, value_text(value)
    named = next(iter(at.values.items()), None)
    return (named[0], value_text(named[1])) if named else (at.unit, number(at.cost))


NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w])")
_VALUE = rf"({NUMBER.pattern}|none)"
_TREND = re.compile(rf"(rose|fell) from {_VALUE} to {_VALUE}")
_STEP = re.compile(rf"{_VALUE}: (higher|lower), {_VALUE}")


def quoted(text: str) -> list[str]:
    """The numbers that a thought quotes, as it writes them; trials and candidates are counted, not quoted."""
    return NUMBER.findall(re.sub(r"(trial|Candidate) \d+", r"\1", text))


def contradictions(text: str) -> list[str]:
    """Claims of a thought that its own numbers contradict."""
    trends = [(m, m.group(2), m.group(3), m.group(1) == "rose") for m in _TREND.finditer(text)]
    steps = [(m, m.group(1), m.group(3), m.group(2) == "higher") for m in _STEP.finditer(text)]
    return [m.group() for m, a, b, up in trends + steps if not goes(a, b, up=up)]


def goes(start: str, end: str, *, up: bool) -> bool:
    """Whether the second number, as a thought writes it, is larger than the first, or (not `up`) smaller."""
    try:
        a, b = (0.0 if text == "none" else float(text) for text in (start, end))
    except ValueError:
        return False  # no numbers
    return b > a if up else b < a
