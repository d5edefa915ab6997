"""What a policy said about a trial, kept with the trial: user attributes, and the note that optuna-dashboard shows.

Everything is in Optuna's own storage, so that every Optuna tool finds it.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmconfig_gym.text import number

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

REASONING = "reasoning"
EXPECTED = "expected"
EXPECTED_SD = "expected_sd"
POLICY = "policy"
CANDIDATES = "candidates"
TRENDS = "trends"
"""User attributes of a trial: why it was proposed, the outcome expected (mean and standard deviation), by whom, what
was thought likely to be best, and the trends behind it."""

NOTE_PART = 2045
"""optuna-dashboard keeps a note in parts of at most this many characters (MySQL's limit on an attribute)."""


@dataclass(frozen=True)
class Explanation:
    """Why a trial has the configuration it has.

    Attributes:
        policy: who proposed it.
        reasoning: in words for people.
        mean, sd: the outcome expected, in the study's own direction; None if nothing in particular.
        known: what was known when it was proposed, in a few words.
        trends: that the analyst sees, where they are not part of the reasoning.
    """

    policy: str
    reasoning: str
    mean: float | None = None
    sd: float | None = None
    known: str = ""
    trends: str = ""

    def pessimistic(self, sign: float) -> float | None:
        """The outcome expected, made worse by its standard deviation; `sign` is 1 where smaller is better, else -1."""
        return None if self.mean is None else self.mean + sign * (self.sd or 0.0)

    def markdown(self) -> str:
        """The note. What a model wrote is shown as text: its `<` cannot become a tag."""
        lines = [html.escape(self.reasoning, quote=False)]
        if self.trends:
            lines.append(f"**Trends:** {html.escape(self.trends, quote=False)}")
        if self.mean is not None:
            spread = f" ± {number(self.sd)}" if self.sd is not None else ""
            lines.append(f"**Expected:** {number(self.mean, 5)}{spread}")
        by = f"proposed by `{self.policy}`"
        lines.append(f"*{by}, knowing {self.known}*" if self.known else f"*{by}*")
        return "\n\n".join(lines)


def save_explanation(storage: BaseStorage, study_id: int, trial_id: int, explanation: Explanation) -> None:
    """Keep an explanation with its trial: user attributes and the dashboard's note."""
    for key, value in (
        (POLICY, explanation.policy),
        (REASONING, explanation.reasoning),
        (EXPECTED, explanation.mean),
        (EXPECTED_SD, explanation.sd),
        (TRENDS, explanation.trends or None),
    ):
        if value is not None:
            storage.set_trial_user_attr(trial_id, key, value)
    save_trial_note(storage, study_id, trial_id, explanation.markdown())


def save_trial_note(storage: BaseStorage, study_id: int, trial_id: int, body: str) -> None:
    """Write a trial's note as `optuna_dashboard.save_note` does, which needs not be installed.

    A sampler is given no `Trial` object, which that function asks for; the format is the dashboard's own: system
    attributes of the study, a version, and the text in parts. It is a trial's first note: what was noted before is not
    asked for, since the attributes of a study are read all at once.
    """
    prefix = f"dashboard:{trial_id}:note_"
    storage.set_study_system_attr(study_id, f"{prefix}ver", 1)
    for i in range(0, len(body), NOTE_PART):
        storage.set_study_system_attr(study_id, f"{prefix}str:{i // NOTE_PART}", body[i : i + NOTE_PART])
