"""The dialogue: everything a language model reads about a problem, and how its answers are written.

One text for every model, in natural English: Task (what is decided, metric), Context (the target, what is legal, the
best runs of cheaper experiments, the analyst's evidence where it is on, the budget) and Instructions. Then one
observation after each trial. Nothing said is ever rewritten. Names of data sets, suites and papers never appear: a
model may remember them. Numbers are written one way everywhere (`llmconfig_gym.text`).

How an answer is read is the environment's business (`llmconfig_gym.action`): strict about meaning, forgiving about
form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from autollmresearch.evidence.analyst import Known, believed, expected
from autollmresearch.evidence.posterior import proposals
from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.policy import State
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.space import Config
from llmconfig_gym.tasks import describe_metric, describe_outcome, describe_space, describe_task, task_of, trials
from llmconfig_gym.text import number, value_text

Messages: TypeAlias = list[dict[str, str]]
"""Alternating `{"role": "user" | "assistant", "content": text}`, the first by the user."""

OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True)
class Style:
    """What the prompt shows.

    Attributes:
        top: demonstrations of each cheaper experiment: its best runs; 0 shows none.
        experiments: how many cheaper experiments are shown; of more, the cheapest, the dearest and evenly between.
        evidence: whether the analyst's candidates and trends are shown, in the prompt and after every trial.
        candidates: how many of the candidates, best first.
        trends: whether the trends, in words; a small model has enough to read without.
        fidelity: whether it is said at which fidelity the target and the cheaper experiments are. Evidence rests on it,
            so who hides one should hide the other.
    """

    top: int = 5
    experiments: int = 3
    evidence: bool = False
    candidates: int = 5
    trends: bool = True
    fidelity: bool = True


@dataclass(frozen=True)
class Expected:
    """A candidate of the analyst, as it is shown: what one run is expected to give, and give or take how much."""

    config: Config
    mean: str
    sd: str


def prompt(problem: Problem, style: Style | None = None) -> str:
    """What is read before the first trial."""
    style = style or Style()
    parts = [
        situation(problem, style),
        *([f"Evidence: {evidence(State(problem), style)}"] if style.evidence else []),
        f"Budget: {trials(problem.budget)}.",
        "Instructions: think about how good configurations change with fidelity, then choose one, as\n"
        f"{OPEN}...{CLOSE}\n{form(problem)}\n"
        "Do not repeat a configuration. A repeated or invalid one costs a trial.",
    ]
    return "\n\n".join(parts)


def situation(problem: Problem, style: Style) -> str:
    """What is decided, what is measured, what is legal, and the best runs of cheaper experiments."""
    task = task_of(problem.task)
    parts = [
        f"{describe_task(task)}\n{describe_metric(problem.metric)}",
        "\n".join(([f"Target: {_fidelity(problem)}."] if style.fidelity else []) + describe_space(task, problem.space)),
        *(_demonstrations(r, problem, style) for r in shown(problem.cheaper, style.experiments) if style.top),
    ]
    return "\n\n".join(parts)


def form(problem: Problem) -> str:
    """How a configuration is written: `<config>{"lr": ..., "batch_size": ...}</config>`."""
    return "<config>{" + ", ".join(f'"{name}": ...' for name in problem.space.names) + "}</config>"


def shown(cheaper: Sequence[CheapRuns], count: int) -> list[CheapRuns]:
    """The experiments that demonstrations come from: at most `count`, cheapest first, spread over their order."""
    if len(cheaper) <= count:
        return list(cheaper)
    first = 0 if count > 1 else len(cheaper) - 1  # a single one is the dearest: it is nearest to the target
    return [cheaper[i] for i in np.linspace(first, len(cheaper) - 1, count).round().astype(int)]


def observation(problem: Problem, outcome: Outcome, trials_left: int) -> str:
    """What is read after a trial: the outcome, or what was wrong, and how many trials are left."""
    return describe_outcome(problem.metric, outcome, trials_left)


def evidence(state: State, style: Style) -> str:
    """The fitted trends in words, and the analyst's best candidates with mean and uncertainty."""
    words, candidates = _believed(Known(state.problem, state.trials), style.candidates)
    lines = [f"{i}. {values(c.config)}: {c.mean} +- {c.sd}" for i, c in enumerate(candidates, start=1)]
    return "\n".join([*([words] if style.trends else []), "Expected:", *lines])


def candidates(state: State, style: Style) -> tuple[Expected, ...]:
    """The candidates that `evidence` shows, best first."""
    return _believed(Known(state.problem, state.trials), style.candidates)[1]


@lru_cache(maxsize=16)
def _believed(known: Known, count: int) -> tuple[str, tuple[Expected, ...]]:
    """The analyst's trends in words and its candidates. Kept, for who is shown them wants to speak of them, too."""
    problem, posterior = known.problem, believed(known)
    shown = []
    for row in proposals(posterior, min(count, len(problem.pool))).tolist():
        mean, sd = expected(problem, posterior, row)
        shown.append(Expected(problem.pool.config(row), number(mean, 5), number(sd, 2)))
    return " ".join(posterior.explanation.sentences), tuple(shown)


def conversation(state: State, style: Style | None = None) -> Messages:
    """All messages up to the agent's next turn. What was read and said in earlier turns stands as it was."""
    style = style or Style()
    messages = [{"role": "user", "content": _read(state, 0, style)}]
    for i, outcome in enumerate(state.trials):
        messages.append({"role": "assistant", "content": _said(state, i, outcome)})
        messages.append({"role": "user", "content": _read(state, i + 1, style)})
    if state.hint:
        messages[-1]["content"] += f"\n{state.hint}"
    return messages


def action(config: Config, thought: str = "") -> str:
    """An answer as an agent should write it."""
    said = ", ".join(f"{json.dumps(name)}: {_json(value)}" for name, value in config.items())
    return f"{OPEN}{thought}{CLOSE}\n<config>{{{said}}}</config>"


def reasoning(text: str) -> str:
    """The thoughts in an answer: what stands between the tags, or before the configuration where there are none."""
    before = text.split(CLOSE, 1)[0] if CLOSE in text else text.split("<config>", 1)[0]
    return before.split(OPEN, 1)[-1].strip()


def values(config: Config) -> str:
    """A configuration in a line: `lr 1.38e-3, batch_size 256`; a mixture's zero weights are left out."""
    return ", ".join(f"{name} {value_text(_nonzero(value))}" for name, value in config.items())


def _read(state: State, turn: int, style: Style) -> str:
    """What was or is read before this turn: what its proposal remembers, else made from the outcomes."""
    if turn < len(state.proposals) and state.proposals[turn].prompt:
        return state.proposals[turn].prompt
    if turn == 0:
        return prompt(state.problem, style)
    told = state.trials[:turn]
    text = observation(state.problem, told[-1], state.problem.budget - turn)
    if style.evidence:
        text += f"\nEvidence: {evidence(State(state.problem, told), style)}"
    return text


def _said(state: State, turn: int, outcome: Outcome) -> str:
    if turn < len(state.proposals):
        proposal = state.proposals[turn]
        return proposal.config if isinstance(proposal.config, str) else action(proposal.config, proposal.reasoning)
    return action(outcome.config or {})


def _fidelity(at: Problem | CheapRuns) -> str:
    named = ", ".join(f"{k} {value_text(v)}" for k, v in at.fidelity.values.items())
    return named or f"{number(at.fidelity.cost)} {at.fidelity.unit}"


def _demonstrations(runs: CheapRuns, problem: Problem, style: Style) -> str:
    """The best runs of one cheaper experiment, best first."""
    order = np.argsort(runs.losses, kind="stable")[: style.top]
    lines = [
        f"{values(runs.pool.config(int(row)))}: {number(problem.metric.sign * float(runs.losses[row]), 5)}"
        for row in order
    ]
    of = f"Best {len(order)} of {len(runs.losses)} runs" if len(runs.losses) > 1 else "One run"
    where = f"at {_fidelity(runs)}" if style.fidelity else "of a cheaper experiment"
    return "\n".join([f"{of} {where}:", *lines])


def _nonzero(value: object) -> object:
    return {k: v for k, v in value.items() if v} if isinstance(value, Mapping) else value


def _json(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)}: {number(v)}" for k, v in value.items() if v) + "}"
    return json.dumps(value) if isinstance(value, str) else value_text(value)
