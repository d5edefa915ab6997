"""Live studies as a state machine: two workers on one study, and a model of what must have become of each trial.

Workers suggest, tell, fail, are cut off in the middle of either, resume from the storage, propose at once and change
the budget, in any order, while the wall clock jumps about. No trial is lost, doubled or told twice.

An example is up to fifteen steps, each of them on a database. Continuous integration runs 8 examples and `make nightly`
833, a twelfth of what other properties get (tests/conftest.py).
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from autollmresearch.errors import StudyProblem
from autollmresearch.live import propose as proposing
from autollmresearch.live.propose import next_trial, propose
from autollmresearch.live.spec import Spec
from autollmresearch.live.study import create_study, load_study
from autollmresearch.live.trial import LiveTrial
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.space import Space

SPACE = Space((Grid("lr", (1e-4, 1e-3, 1e-2), log=True), Grid("batch", (16, 32))))
CONFIGURATIONS = 6
SPEC = Spec("other", Fidelity({"N": 7e9}, 7e9), Metric("loss", "minimize"), SPACE, 3, "random", 5)
NAME = "big"

WORKERS = st.integers(0, 1)
VALUES = st.floats(-1e3, 1e3)
DETAILS = st.dictionaries(st.sampled_from(("kl", "steps")), st.floats(0, 9), max_size=2)


class Killed(BaseException):
    """A worker dies here."""


@dataclass(frozen=True)
class Known:
    """What must be true of a trial."""

    config: dict[str, Any]
    status: str = "open"
    value: float | None = None
    details: dict[str, float] | None = None
    failure: str = ""


class Studies(RuleBasedStateMachine):
    """Two workers, each with its own connection."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="study-"))
        shutil.copy(self.template, self.root / "studies.db")
        self.url = f"sqlite:///{self.root / 'studies.db'}"
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(proposing, "PATIENCE", 0.0)
        self.workers = [load_study(NAME, self.url) for _ in range(2)]
        self.budget = SPEC.budget
        self.known: dict[int, Known] = {}

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.root)

    @property
    def waiting(self) -> list[int]:
        return [n for n, t in self.known.items() if t.status == "open"]

    def opened(self, trial: LiveTrial) -> None:
        """A new trial is known; it repeats nothing while there is something else."""
        config = dict(trial.config)
        assert trial.status == "open"
        assert SPACE.check(config) == config
        assert trial.number > max(self.known, default=-1)
        told = [t.config for t in self.known.values()]
        assert config not in told or len({str(c) for c in told}) == CONFIGURATIONS
        self.known[trial.number] = Known(config)

    @rule(worker=WORKERS, another=st.booleans())
    def suggest(self, worker: int, another: bool) -> None:
        study = self.workers[worker]
        if self.waiting and not another:
            assert next_trial(study)[0].number == min(self.waiting)
        elif len(self.known) >= study.spec.budget:
            with pytest.raises(StudyProblem, match=f"the budget of {study.spec.budget} trials of {NAME} is spent"):
                next_trial(study, another=another)
        else:
            trial, new = next_trial(study, another=another)
            assert new
            self.opened(trial)

    @precondition(lambda self: len(self.known) < self.budget)
    @rule(first=WORKERS)
    def propose_at_once(self, first: int) -> None:
        """Both have thought before either wrote: who wrote first keeps its trial."""
        known = self.workers[0].trials()
        made = [(w, *propose(w.spec, known)) for w in (self.workers[first], self.workers[1 - first])]
        kept, late = (worker.add(proposal, config, known) for worker, proposal, config in made)
        assert late is None
        assert kept is not None
        self.opened(kept)

    @precondition(lambda self: len(self.known) < self.budget)
    @rule(worker=WORKERS)
    def die_while_proposing(self, worker: int) -> None:
        """The trial is there, whole, or was never made; here: just before its note for people was written."""
        study = self.workers[worker]
        with self.dying("autollmresearch.live.notes.save_trial_note"):
            next_trial(study, another=True)
        self.resume(worker)
        self.opened(self.workers[worker].trials()[-1])

    @rule(worker=WORKERS, number=st.integers(0, 9), value=VALUES, details=DETAILS)
    def tell(self, worker: int, number: int, value: float, details: dict[str, float]) -> None:
        study = self.workers[worker]
        self.finish(number, lambda: study.tell(number, value, details), Known({}, "complete", value, details))

    @rule(worker=WORKERS, number=st.integers(0, 9), details=DETAILS)
    def fail(self, worker: int, number: int, details: dict[str, float]) -> None:
        study = self.workers[worker]
        self.finish(
            number, lambda: study.fail(number, "cuda: no", details), Known({}, "failed", None, details, "cuda: no")
        )

    def finish(self, number: int, call: Callable[[], LiveTrial], told: Known) -> None:
        if number in self.waiting:
            call()
            self.known[number] = replace(told, config=self.known[number].config)
        else:
            with pytest.raises(StudyProblem, match=f"trial {number}"):
                call()

    @precondition(lambda self: self.waiting)
    @rule(worker=WORKERS, data=st.data(), failed=st.booleans())
    def die_while_telling(self, worker: int, data: st.DataObject, failed: bool) -> None:
        """All but the last write was made: the trial is open still, and can be told as if nothing had been."""
        number, study = data.draw(st.sampled_from(self.waiting)), self.workers[worker]
        with self.dying("optuna.study.Study.tell"):
            if failed:
                study.fail(number, "half told", {"kl": 99.0})
            else:
                study.tell(number, 99.0, {"kl": 99.0})
        self.resume(worker)

    @contextmanager
    def dying(self, place: str) -> Iterator[None]:
        def die(*args: object, **options: object) -> None:
            raise Killed

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, die)
            with pytest.raises(Killed):
                yield

    @precondition(lambda self: self.waiting)
    @rule(worker=WORKERS, value=st.sampled_from((math.nan, math.inf, -math.inf)))
    def tell_no_number(self, worker: int, value: float) -> None:
        with pytest.raises(StudyProblem, match="is no outcome"):
            self.workers[worker].tell(self.waiting[0], value)

    @rule(worker=WORKERS)
    def resume(self, worker: int) -> None:
        """A worker starts anew from the storage, and would propose what it would have."""
        trials = self.workers[1 - worker].trials()
        self.workers[worker] = load_study(NAME, self.url)
        spec = self.workers[worker].spec
        assert spec.budget == self.budget
        assert propose(spec, trials) == propose(self.workers[1 - worker].spec, trials)

    @rule(worker=WORKERS, budget=st.integers(1, 8))
    def change_the_budget(self, worker: int, budget: int) -> None:
        self.workers[worker].change_budget(budget)
        self.budget = budget
        self.workers[1 - worker] = load_study(NAME, self.url)

    @rule(hours=st.integers(-48, 48))
    def set_the_clock(self, hours: int) -> None:
        """Backwards, too: from now on trials start and end at another time."""

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + timedelta(hours=hours)

        self.patch.setattr("optuna.trial._frozen.datetime", SimpleNamespace(datetime=Clock))
        self.patch.setattr("optuna.storages._rdb.storage.datetime", Clock)
        self.patch.setattr("autollmresearch.live.propose.datetime", Clock)

    @invariant()
    def both_see_what_must_be_true(self) -> None:
        for study in self.workers:
            found = {t.number: t for t in study.trials()}
            assert list(found) == list(self.known)
            for number, expected in self.known.items():
                trial = found[number]
                assert (trial.status, trial.value, trial.config) == (expected.status, expected.value, expected.config)
                assert trial.failure == expected.failure
                assert expected.details is None or dict(trial.details) == expected.details


@pytest.fixture(scope="module", autouse=True)
def _template(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A study as it is made, to be copied: making the tables anew takes most of a second."""
    Studies.template = tmp_path_factory.mktemp("template") / "studies.db"
    create_study(NAME, f"sqlite:///{Studies.template}", SPEC)


@pytest.mark.usefixtures("_template")
class TestStudies(Studies.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=settings.default.max_examples // 12, stateful_step_count=15)
