"""SuiteTestCase: what every suite promises, however its table was made."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from llmconfig_gym.errors import BrokenPromise, GymError
from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.parameter import Categorical, Simplex
from llmconfig_gym.suite import Suite, summarize
from llmconfig_gym.tasks import describe, task_of
from llmconfig_gym.testing.probes import NONSENSE, emptied, global_randomness, other_outcomes, require, some_rows, tells

ROWS = 20
"""Configurations of each experiment that are told; which ones is the same in every run."""


class SuiteTestCase:
    """Checks of a suite: subclass it and say in `make` which one."""

    def make(self) -> Suite:
        """The suite to check."""
        raise NotImplementedError("make(self) returns the suite to check, e.g. load_suite('./mine')")

    def test_listing_and_tables_agree(self) -> None:
        """What a listing says of an experiment is what its table is."""
        suite = self.make()
        for summary in suite.summaries:
            found = summarize(suite.experiment(summary.id))
            require(found == summary, f"{summary.id}: the listing says {summary}, the table is {found}; list it anew")

    def test_saved_and_loaded_it_is_the_same(self) -> None:
        """A suite survives being written and read: ids, words and every outcome."""
        suite = self.make()
        with TemporaryDirectory() as directory:
            try:
                suite.save(Path(directory) / "copy")
                again = Suite.load(Path(directory) / "copy")
                require(again.summaries == suite.summaries, f"{suite.name}: read again it lists other experiments")
                require(again.card == suite.card, f"{suite.name}: read again it has another card")
                for id_ in suite.ids:  # reading compares each table with its digest
                    again.experiment(id_)
            except GymError as problem:
                if isinstance(problem, BrokenPromise):
                    raise
                raise BrokenPromise(f"{suite.name} cannot be saved and loaded: {problem}") from problem

    def test_levels_go_from_cheap_to_expensive(self) -> None:
        """Costs are positive, in one unit, and what is learned from costs no more than the target."""
        suite = self.make()
        units = {s.fidelity.unit for s in suite.summaries}
        require(len(units) == 1, f"{suite.name}: costs are in {sorted(units)}; give all of them in one unit")
        for summary in suite.summaries:
            cost = summary.fidelity.cost
            require(math.isfinite(cost) and cost > 0, f"{summary.id} costs {cost}; expected a positive number")
            for other in suite.cheaper(summary.id):
                require(
                    other.fidelity.cost <= cost,
                    f"{other.id} ({other.level}) costs {other.fidelity.cost:g}, more than {summary.id} "
                    f"({summary.level}, {cost:g}), which is to learn from it; correct its level or its cost",
                )

    def test_what_was_measured_is_told(self) -> None:
        """Every configuration of the table answers with its own row, so none is in it twice."""
        for e in _experiments(self.make()):
            for row in some_rows(e, ROWS):
                told, measured = e.tell(e.pool.config(row)), e.outcome(row)
                require(
                    told == measured,
                    f"{e.id}: row {row} holds {measured}, but telling its configuration gives {told}; is the "
                    "configuration in the table twice? Average replicates (`replicates`, `spread`)",
                )
                value = float(e.values[row])
                require(
                    told.value == value if math.isfinite(value) else told.value is None,
                    f"{e.id}: row {row} was told as {told.value}, the table has {value}",
                )

    def test_tell_is_pure(self) -> None:
        """The same configuration gives the same outcome in any order and whatever callers do; it stays as it was."""
        for e in _experiments(self.make()):
            configs = [e.pool.config(row) for row in some_rows(e, ROWS)]
            asked = copy.deepcopy(configs)
            with global_randomness(1):
                first = [e.tell(c) for c in configs]
            require(configs == asked, f"{e.id}: tell changes the configuration that it is given")
            expected = copy.deepcopy(first)
            for outcome in first:
                emptied(outcome.config)
                emptied(outcome.details)
            with global_randomness(2):
                again = [e.tell(c) for c in reversed(asked)][::-1]
            for config, one, other in zip(asked, expected, again, strict=True):
                require(one == other, f"{e.id}: {config} was told as {one}, later as {other}; tell must be pure")

    def test_what_cannot_be_told_is_refused_as_data(self) -> None:
        """Nothing that a model may write raises: it is an `invalid` outcome with a reason and without a value."""
        for e in _experiments(self.make()):
            for proposal in _refused(e):
                outcome = _told(e, proposal)
                require(
                    outcome.kind == "invalid" and outcome.value is None and not outcome.details,
                    f"{e.id}: {_shown(proposal)} must be an invalid outcome without a value, found {outcome}",
                )
                line = outcome.message
                require(
                    line and line.isprintable(),
                    f"{e.id}: {_shown(proposal)} must be refused in one printable line, found {line!r}",
                )

    def test_refusals_tell_no_outcome(self) -> None:
        """Descriptions and refusals read the same whatever was measured."""
        for e in _experiments(self.make()):
            other = other_outcomes(e)
            require(describe(e, 3) == describe(other, 3), f"{e.id}: its description depends on what was measured")
            for proposal in _refused(e):
                said, would_say = _told(e, proposal).message, _told(other, proposal).message
                require(
                    said == would_say,
                    f"{e.id}: the refusal of {_shown(proposal)} depends on what was measured: {said!r}, elsewhere "
                    f"{would_say!r}",
                )

    def test_words_tell_no_outcome(self) -> None:
        """No word written by hand holds a measured value or names the best configuration."""
        for e in _experiments(self.make()):
            best = e.pool.config(int(np.argmin(e.losses)))
            for where, text in _words(e):
                found = tells(text, e.values, digits=3)
                require(not found, f"{e.id}: {where} ({text!r}) holds {found}, measured here; leave it out")
            named = [p.name for p in e.space.parameters if _names(e, p.name, best[p.name])]
            require(
                set(named) != set(e.space.names),
                f"{e.id}: what it says of {', '.join(named)} names the best configuration, {best}; leave it out",
            )


def _experiments(suite: Suite) -> Iterator[Experiment]:
    return (suite.experiment(id_) for id_ in suite.ids)


def _refused(e: Experiment) -> Iterator[Any]:
    """What is no configuration of this experiment."""
    yield from NONSENSE
    config = e.pool.config(0)
    yield {**config, "no such parameter": 1}
    for name in e.space.names:
        yield {k: v for k, v in config.items() if k != name}
        for odd in (None, float("nan"), [1], {"x": 1}, object()):
            yield {**config, name: odd}


def _told(e: Experiment, proposal: Any) -> Outcome:
    try:
        return e.tell(proposal)
    except Exception as problem:
        raise BrokenPromise(
            f"{e.id}: telling {_shown(proposal)} raised {type(problem).__name__} ({problem}); whatever a model writes "
            "is data: return an invalid outcome"
        ) from problem


def _shown(proposal: Any) -> str:
    text = ascii(proposal)
    return text if len(text) <= 60 else text[:57] + "..."


def _words(e: Experiment) -> Iterator[tuple[str, str]]:
    """Everything that a person wrote and an agent may read, and where it stands."""
    yield "its task", task_of(e.task).about
    yield "its metric", f"{e.metric.name}: {e.metric.about}"
    yield from ((f"detail {name}", f"{name}: {about}") for name, about in e.metric.details.items())
    for p in e.space.parameters:
        yield f"parameter {p.name}", _about(e, p.name)
    yield from ((f"fidelity {k}", str(v)) for k, v in e.fidelity.values.items() if isinstance(v, str))


def _about(e: Experiment, name: str) -> str:
    """What is said of a parameter beside its legal values."""
    p = e.space[name]
    return f"{p.unit} {p.about or task_of(e.task).parameters.get(name, '')}"


def _names(e: Experiment, name: str, best: Any) -> bool:
    """Whether the words of this experiment name a parameter's best value, and no other."""
    text = " ".join([_about(e, name), e.metric.about, *e.metric.details.values()])
    p = e.space[name]
    if isinstance(p, Simplex):
        return all(tells(text, [w], digits=1) for w in best.values() if w)
    if isinstance(p, Categorical):
        return [c for c in p.choices if f" {c} ".lower() in f" {text} ".lower()] == [best]
    return bool(tells(text, [float(best)], digits=1))
