"""Live studies: the trials of one expensive experiment, kept in Optuna's storage.

An Optuna study holds all that is needed to go on, wherever the files that it was made from have gone: what is asked
(`Spec`, a user attribute) and the cheaper runs (a system attribute, for it is large). Each trial carries its
configuration, the reasoning, the outcome expected and, once told, details or why it failed. A trial is written in one
transaction: it is there whole or not at all.

Budget: a trial counts from the moment it is proposed, whether it is open, has a value or failed.
"""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from autollmresearch.errors import StudyProblem
from autollmresearch.live.spec import Spec, by_cost, runs_from_list, runs_to_list
from autollmresearch.live.storage import alone, open_storage, sqlite_file, storage_problems, without_password
from autollmresearch.live.trial import (
    CONFIG,
    DETAILS,
    FAILURE,
    LiveTrial,
    live_trial,
    optuna_distributions,
    optuna_params,
)
from llmconfig_gym.errors import GymError, unknown_name
from llmconfig_gym.space import Config, plain_config

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

    from autollmresearch.evidence.records import CheapRuns
    from autollmresearch.policy import Proposal

SPEC = "autollmresearch"
"""The study's user attribute that holds its `Spec`."""

EVIDENCE = "autollmresearch:evidence"
"""The study's system attribute that holds the cheaper runs."""

LATER = "autollmresearch:later"
"""The study's system attribute that holds cheaper runs made after it (the cheap phases of `run`)."""

WITHDRAWN = "withdrawn"
"""The user attribute of a trial that two processes proposed at once and one of them took back."""


class LiveStudy:
    """A study in its storage; nothing is kept here that is not there.

    Attributes:
        spec: what it asks, and all that is known of cheaper runs.
        evidence: what was known of them when it was made.
        url: its storage.
    """

    def __init__(
        self, study: Study, spec: Spec, url: str, storage: RDBStorage, later: tuple[CheapRuns, ...] = ()
    ) -> None:
        self._study = study
        weakref.finalize(self, _close, storage)
        self.evidence = spec.cheaper
        self.spec = replace(spec, cheaper=by_cost(spec.cheaper, later))
        self.url = url

    @property
    def place(self) -> str:
        """Its storage as it may be shown and kept: without a password."""
        return without_password(self.url)

    @property
    def name(self) -> str:
        """Its name in the storage."""
        return str(self._study.study_name)

    def trials(self) -> list[LiveTrial]:
        """All trials in order."""
        return [live_trial(t) for t in self._trials()]

    def _trials(self) -> list[FrozenTrial]:
        with storage_problems(self.url):
            return [t for t in self._study.get_trials(deepcopy=False) if not t.user_attrs.get(WITHDRAWN)]

    def add(self, proposal: Proposal, config: Config, known: Sequence[LiveTrial]) -> LiveTrial | None:
        """Open a trial with a proposed configuration, unless another process opened one meanwhile.

        Args:
            config: the proposal's configuration, checked.
            known: the trials that the proposal took into account.

        Returns:
            None if there was another: nothing has happened then.
        """
        import optuna

        from autollmresearch.live.notes import (
            CANDIDATES,
            EXPECTED,
            EXPECTED_SD,
            POLICY,
            REASONING,
            TRENDS,
            Explanation,
            save_trial_note,
        )

        attrs = {
            CONFIG: plain_config(config),
            POLICY: self.spec.policy,
            REASONING: proposal.reasoning,
            EXPECTED: proposal.mean,
            EXPECTED_SD: proposal.sd,
            CANDIDATES: [c.to_dict() for c in proposal.candidates] or None,
            TRENDS: proposal.trends or None,
        }
        with storage_problems(self.url):
            storage, study_id = self._study._storage, self._study._study_id
            template = optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=optuna_params(self.spec.space, config),
                distributions=optuna_distributions(self.spec.space),
                user_attrs={k: v for k, v in attrs.items() if v is not None},
            )
            trial_id = storage.create_new_trial(study_id, template_trial=template)
            trials, seen = self._trials(), {t.number for t in known}
            trial = next(t for t in trials if t._trial_id == trial_id)
            if any(t.number < trial.number and t.number not in seen for t in trials):
                storage.set_trial_user_attr(trial_id, WITHDRAWN, True)
                self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                return None
            said = proposal.reasoning, proposal.mean, proposal.sd
            note = Explanation(self.spec.policy, *said, trends=proposal.trends)
            save_trial_note(storage, study_id, trial_id, note.markdown())
            return live_trial(trial)

    def tell(self, number: int, value: float, details: Mapping[str, float] | None = None) -> LiveTrial:
        """Record a trial's outcome.

        Raises:
            StudyProblem: there is no such trial, it was told before, or the value is not finite.
        """
        if not math.isfinite(value):
            raise StudyProblem(
                f"{value} is no outcome; if the run diverged or crashed, say so: "
                f'autollmresearch tell {self.name} {number} --failed "diverged"'
            )
        return self._finish(number, value, {FAILURE: "", DETAILS: dict(details or {})})

    def fail(self, number: int, reason: str, details: Mapping[str, float] | None = None) -> LiveTrial:
        """Record that a trial failed, and why; it has used its budget, and the next proposal knows."""
        return self._finish(number, None, {FAILURE: reason, DETAILS: dict(details or {})})

    def _finish(self, number: int, value: float | None, attrs: Mapping[str, Any]) -> LiveTrial:
        import optuna

        with storage_problems(self.url), alone(self.url):
            frozen = self._frozen(number)
            trial = live_trial(frozen)
            if trial.status != "open":
                had = f"has its value already ({trial.value})" if trial.status == "complete" else "was told as failed"
                raise StudyProblem(f"trial {number} of {self.name} {had}; nothing was changed")
            for key, content in attrs.items():
                if content or key in frozen.user_attrs:  # of a call that was cut off
                    self._study._storage.set_trial_user_attr(frozen._trial_id, key, content)
            state = optuna.trial.TrialState.FAIL if value is None else None
            try:
                return live_trial(self._study.tell(number, value, state=state))
            except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
                raise StudyProblem(f"trial {number} of {self.name} was told by another process just now") from None

    def _frozen(self, number: int) -> FrozenTrial:
        trials = self._trials()
        for trial in trials:
            if trial.number == number:
                return trial
        said = (f"{t.number} ({live_trial(t).status})" for t in trials)
        known = ", ".join(said) or "none yet; ask for one with: suggest"
        raise StudyProblem(f"study {self.name} has no trial {number}; it has {known}")

    def change_budget(self, budget: int) -> None:
        """Allow another number of trials."""
        self.spec = replace(self.spec, budget=budget)
        with storage_problems(self.url):
            self._study.set_user_attr(SPEC, self.spec.to_dict())

    def learn(self, later: tuple[CheapRuns, ...]) -> None:
        """Add cheaper runs that were made after the study; what was added before is replaced."""
        self.spec = replace(self.spec, cheaper=by_cost(self.evidence, later))
        with storage_problems(self.url):
            self._study._storage.set_study_system_attr(self._study._study_id, LATER, runs_to_list(later))

    def remember(self, key: str, value: Any) -> None:
        """Keep plain JSON data with the study."""
        with storage_problems(self.url):
            self._study.set_user_attr(key, value)

    def recall(self, key: str) -> Any:
        """What was kept under a key; None if nothing was."""
        with storage_problems(self.url):
            return self._study.user_attrs.get(key)


def create_study(name: str, url: str, spec: Spec) -> LiveStudy:
    """A new study; the one that is there, if another process has just made it.

    Raises:
        StudyProblem: somebody else's study has this name.
        StorageProblem: the storage cannot be opened or written.
    """
    import optuna

    from autollmresearch.live.evidence import FIDELITY

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with storage_problems(url):
        storage = open_storage(url)
        study = optuna.create_study(
            storage=storage, study_name=name, direction=spec.metric.direction, load_if_exists=True
        )
        if SPEC in study.user_attrs or study.get_trials(deepcopy=False):
            return _of(study, url, storage)
        storage.set_study_system_attr(study._study_id, EVIDENCE, runs_to_list(spec.cheaper))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna announces that names of metrics are experimental
            study.set_metric_names([spec.metric.name])
        study.set_user_attr(FIDELITY, dict(spec.fidelity.values))
        study.set_user_attr(SPEC, spec.to_dict())  # last: now it is a study of ours
        return LiveStudy(study, spec, url, storage)


def find_study(name: str, url: str) -> LiveStudy | None:
    """The study of this name; None if there is none, or one whose making was cut off.

    Raises:
        StudyProblem, StorageProblem: as `create_study`.
    """
    import optuna

    if not _exists(url):
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with storage_problems(url):
        storage = open_storage(url)
        try:  # a list of names would read all that all studies hold
            study = optuna.load_study(storage=storage, study_name=name)
        except KeyError:
            study = None
        if study is not None and (SPEC in study.user_attrs or study.get_trials(deepcopy=False)):
            return _of(study, url, storage)
        _close(storage)
    return None


def load_study(name: str, url: str) -> LiveStudy:
    """The study of this name.

    Raises:
        StudyProblem: there is none ("did you mean"), or it was not made by this program.
        StorageProblem: the storage cannot be opened.
    """
    study = find_study(name, url)
    if study is None:
        known = study_names(url) if _exists(url) else []
        raise StudyProblem(f"{unknown_name('study', name, known)} (looked in {without_password(url)}; see --storage)")
    return study


def _exists(url: str) -> bool:
    """Whether a SQLite file is there already: looking for a study must not make one."""
    file = sqlite_file(url)
    return file is None or file.exists()


def _of(study: Study, url: str, storage: RDBStorage) -> LiveStudy:
    with storage_problems(url):
        data = study.user_attrs.get(SPEC)
        system = study._storage.get_study_system_attrs(study._study_id)
    place = without_password(url)
    if data is None:
        _close(storage)
        raise StudyProblem(f"{study.study_name} in {place} is an Optuna study of another program; choose another name")
    try:
        later = runs_from_list(system.get(LATER, []))
        return LiveStudy(study, Spec.from_dict(data, runs_from_list(system[EVIDENCE])), url, storage, later)
    except (GymError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        _close(storage)
        raise StudyProblem(f"what {study.study_name} in {place} says of itself cannot be read: {problem}") from None


def study_names(url: str) -> list[str]:
    """The names of all studies in a storage."""
    import optuna

    with storage_problems(url):
        storage = open_storage(url)
        names = list(optuna.get_all_study_names(storage=storage))
        _close(storage)
    return names


def _close(storage: RDBStorage) -> None:
    """Give a storage's connections back."""
    storage.remove_session()
    storage.engine.dispose()
