"""Why a trial was proposed, where Optuna's tools find it."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna_dashboard._note import get_note_from_system_attrs

from autollmresearch.live.notes import NOTE_PART, Explanation, save_explanation, save_trial_note


def _note(study: optuna.Study, trial: int) -> str:
    """What the dashboard itself would show."""
    attrs = study._storage.get_study_system_attrs(study._study_id)
    return str(get_note_from_system_attrs(attrs, study.trials[trial]._trial_id)["body"])


def _save(study: optuna.Study, trial: int, body: str) -> None:
    save_trial_note(study._storage, study._study_id, study.trials[trial]._trial_id, body)


@pytest.fixture
def study(tmp_path: Path, opened: Callable[..., RDBStorage]) -> optuna.Study:
    """Two running trials in a SQLite file."""
    study = optuna.create_study(storage=opened(f"sqlite:///{tmp_path / 'studies.db'}"))
    study.ask()
    study.ask()
    return study


@pytest.mark.parametrize("length", [0, 1, NOTE_PART, NOTE_PART + 1, 3 * NOTE_PART + 7])
def test_the_dashboard_reads_a_note_of_any_length(study: optuna.Study, length: int) -> None:
    body = ("0123456789é" * length)[:length]
    _save(study, 0, body)
    assert _note(study, 0) == body
    assert _note(study, 1) == ""


def test_an_explanation_is_in_the_attributes_and_in_the_note(study: optuna.Study) -> None:
    explanation = Explanation("analyst", "The best lr fell 1.4x per doubling.", 2.25, 0.125, "12 cheaper runs")
    save_explanation(study._storage, study._study_id, study.trials[0]._trial_id, explanation)
    assert study.trials[0].user_attrs == {
        "policy": "analyst",
        "reasoning": "The best lr fell 1.4x per doubling.",
        "expected": 2.25,
        "expected_sd": 0.125,
    }
    assert "Trends" not in _note(study, 0)
    for words in ("The best lr fell", "2.25 ± 0.125", "`analyst`", "12 cheaper runs"):
        assert words in _note(study, 0)


def test_the_analysts_trends_stand_beside_an_agents_thought(study: optuna.Study) -> None:
    explanation = Explanation("researcher-mini", "Keep.", 2.25, 0.125, trends="lr fell below 1 <b>.")
    save_explanation(study._storage, study._study_id, study.trials[0]._trial_id, explanation)
    assert study.trials[0].user_attrs["trends"] == "lr fell below 1 <b>."
    assert _note(study, 0).startswith("Keep.\n\n**Trends:** lr fell below 1 &lt;b&gt;.\n\n**Expected:** 2.25")


def test_what_a_model_wrote_is_no_markup() -> None:
    note = Explanation("agent", "<think>a & b</think><script>alert(1)</script>").markdown()
    assert "<" not in note
    assert "&lt;think&gt;a &amp; b" in note


def test_a_pessimist_expects_worse_in_either_direction() -> None:
    explanation = Explanation("analyst", "", 2.0, 0.5)
    assert explanation.pessimistic(1.0) == 2.5
    assert explanation.pessimistic(-1.0) == 1.5
    assert Explanation("analyst", "", 2.0).pessimistic(1.0) == 2.0
    assert Explanation("analyst", "").pessimistic(1.0) is None
