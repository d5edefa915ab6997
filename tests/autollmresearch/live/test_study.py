"""Live studies in their storage: what is kept, what a budget means, and what is refused."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import optuna
import pytest

from autollmresearch.errors import StorageProblem, StudyProblem
from autollmresearch.live.ask import Question, check_same, make_spec
from autollmresearch.live.propose import best_trial, next_trial, propose
from autollmresearch.live.spec import Spec
from autollmresearch.live.study import LiveStudy, create_study, find_study, load_study
from autollmresearch.live.trial import sentences
from autollmresearch.policy import Proposal
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
from llmconfig_gym.space import Space

SPACE = Space(
    (
        Real("lr", 1e-5, 1e-2, log=True),
        Grid("batch", (64, 128, 256), log=True),
        Integer("layers", 2, 12),
        Categorical("opt", ("adamw", "; rm -rf /")),
        Simplex("mix", ("web", "code")),
    )
)
SPEC = Spec("other", Fidelity({"N": 7e9}, 7e9), Metric("loss", "minimize"), SPACE, 3, "random", 5)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture
def study(url: str) -> LiveStudy:
    return create_study("big", url, SPEC)


def test_a_study_resumes_from_its_storage_alone(study: LiveStudy, url: str) -> None:
    trial, new = next_trial(study)
    assert (trial.number, trial.status, new) == (0, "open", True)
    study.tell(0, 2.5, {"kl": 0.1})
    again = load_study("big", url)
    assert replace(again.spec, cheaper=()).to_dict() == SPEC.to_dict()
    (kept,) = again.trials()
    assert (kept.status, kept.value, dict(kept.details), kept.config) == ("complete", 2.5, {"kl": 0.1}, trial.config)
    assert kept.reasoning == "drawn at random"
    assert SPACE.check(kept.config) == kept.config
    assert propose(again.spec, again.trials()) == propose(study.spec, study.trials())


def test_a_study_is_found_without_reading_all_others(
    study: LiveStudy, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_all(storage: object) -> None:
        pytest.fail("the cost of opening a study grows with what all studies of its storage hold")

    monkeypatch.setattr("optuna.storages.RDBStorage.get_all_studies", read_all)
    assert load_study("big", url).name == study.name
    assert find_study("small", url) is None
    assert create_study("small", url, SPEC).name == "small"


def test_optuna_sees_the_settings_as_they_are(study: LiveStudy, url: str) -> None:
    trial, _ = next_trial(study)
    study.tell(trial.number, 2.5)
    seen = optuna.load_study(study_name="big", storage=url)
    assert seen.best_value == 2.5
    assert {k: seen.best_params[k] for k in ("lr", "batch", "layers", "opt")} == {
        k: trial.config[k] for k in ("lr", "batch", "layers", "opt")
    }
    assert SPACE.from_optuna({**seen.best_params, "batch": 0})["mix"] == pytest.approx(trial.config["mix"])
    assert seen.user_attrs["fidelity"] == {"N": 7e9}
    notes = seen._storage.get_study_system_attrs(seen._study_id)
    assert "drawn at random" in notes[f"dashboard:{seen.trials[0]._trial_id}:note_str:0"]


def test_the_open_trial_is_shown_again_unless_another_is_wanted(study: LiveStudy) -> None:
    first, _ = next_trial(study)
    again, new = next_trial(study)
    assert (again, new) == (first, False)
    second, new = next_trial(study, another=True)
    assert (second.number, new) == (1, True)
    assert second.config != first.config
    assert len(study.trials()) == 2


def test_the_budget_counts_open_complete_and_failed_trials(study: LiveStudy) -> None:
    for value in (2.5, None, 2.25):
        trial, _ = next_trial(study)
        if value is None:
            study.fail(trial.number, "out of memory")
        else:
            study.tell(trial.number, value)
    with pytest.raises(StudyProblem) as caught:
        next_trial(study, another=True)
    assert str(caught.value) == (
        "the budget of 3 trials of big is spent; the best is trial 2 with loss 2.25. "
        "To allow more: autollmresearch suggest --study big --budget 4"
    )
    study.change_budget(4)
    assert next_trial(load_study("big", study.url))[0].number == 3
    best = best_trial(study.spec, study.trials())
    assert best is not None
    assert best.number == 2


def test_a_proposal_that_came_too_late_is_taken_back(study: LiveStudy) -> None:
    proposal, config = propose(study.spec)
    other = load_study("big", study.url)
    assert other.add(proposal, config, ()) is not None
    assert study.add(proposal, config, ()) is None
    assert [t.number for t in study.trials()] == [0]
    study.tell(0, 1.0)
    trial, _ = next_trial(study)
    assert [t.number for t in study.trials()] == [0, trial.number]


@pytest.mark.parametrize("kind", ["url", "postgres_url"])
def test_many_who_ask_at_once_share_the_budget(kind: str, request: pytest.FixtureRequest) -> None:
    study = create_study("many", request.getfixturevalue(kind), replace(SPEC, budget=5))
    got: list[int] = []
    refused: list[str] = []

    def ask() -> None:
        mine = load_study("many", study.url)
        try:
            got.append(next_trial(mine, another=True)[0].number)
        except StudyProblem as problem:
            refused.append(str(problem))

    threads = [Thread(target=ask) for _ in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = study.trials()
    assert sorted(got) == [t.number for t in trials]
    assert (len(trials), len(refused)) == (5, 2)
    assert all("the budget of 5 trials of many is spent" in text for text in refused)
    assert len({str(t.config) for t in trials}) == 5


def test_told_twice_unknown_or_not_a_number(study: LiveStudy) -> None:
    next_trial(study)
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(StudyProblem, match=r"is no outcome; if the run diverged or crashed, say so: .*--failed"):
            study.tell(0, value)
    assert study.trials()[0].status == "open"
    study.tell(0, 2.5)
    for again in (lambda: study.tell(0, 2.4), lambda: study.fail(0, "why")):
        with pytest.raises(StudyProblem, match=r"trial 0 of big has its value already \(2.5\); nothing was changed"):
            again()
    assert study.trials()[0].value == 2.5
    with pytest.raises(StudyProblem, match=r"study big has no trial 7; it has 0 \(complete\)"):
        study.tell(7, 1.0)
    next_trial(study)
    study.fail(1, "timeout")
    with pytest.raises(StudyProblem, match="trial 1 of big was told as failed; nothing was changed"):
        study.tell(1, 2.0)


def test_what_was_told_by_half_was_not_told(study: LiveStudy) -> None:
    """Killed between the writes of `fail`: the trial is open, and told as complete it keeps nothing of the failure."""

    def die(*args: object, **options: object) -> None:
        raise SystemExit

    next_trial(study)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna.Study, "tell", die)
        with pytest.raises(SystemExit):
            study.fail(0, "out of memory", {"kl": 9.0})
    half = study.trials()[0]
    assert (half.status, half.failure, half.details) == ("open", "", {})
    told = study.tell(0, 2.5)
    assert (told.status, told.value, told.failure, told.details) == ("complete", 2.5, "", {})


def test_a_failed_trial_is_known_with_its_reason(study: LiveStudy) -> None:
    trial, _ = next_trial(study)
    study.fail(trial.number, "out of memory: CUDA out of memory")
    (kept,) = study.trials()
    assert (kept.status, kept.failure, kept.value) == ("failed", "out of memory: CUDA out of memory", None)

    seen = []

    class Watcher:
        def propose(self, states: list[object]) -> list[Proposal]:
            seen.extend(states)
            return [Proposal(kept.config, "again")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autollmresearch.live.propose.make_policy", lambda name: Watcher())
        proposal, config = propose(study.spec, study.trials())
    (outcome,) = seen[0].trials  # type: ignore[attr-defined]
    assert outcome.value is None
    assert outcome.message == "the run failed: out of memory: CUDA out of memory."
    assert config != kept.config
    assert proposal.reasoning == "again (the nearest configuration that was not tried yet)"


def test_studies_that_are_not_there(study: LiveStudy, url: str, tmp_path: Path) -> None:
    with pytest.raises(StudyProblem, match=r"no study is called 'bgi'; did you mean 'big'\? \(looked in sqlite"):
        load_study("bgi", url)
    nowhere = tmp_path / "none.db"
    with pytest.raises(StudyProblem, match="no study is called 'big'; none is known"):
        load_study("big", f"sqlite:///{nowhere}")
    assert not nowhere.exists()
    optuna.create_study(study_name="theirs", storage=url).add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(StudyProblem, match=r"theirs in .* is an Optuna study of another program"):
        load_study("theirs", url)
    with pytest.raises(StudyProblem, match=r"theirs in .* is an Optuna study of another program"):
        create_study("theirs", url, SPEC)


def test_a_study_whose_making_was_cut_off_is_made_again(url: str) -> None:
    optuna.create_study(study_name="big", storage=url)
    assert find_study("big", url) is None
    assert create_study("big", url, SPEC).trials() == []
    assert load_study("big", url).spec.budget == 3


def test_a_storage_that_is_damaged_or_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageProblem, match=r"broken.db: the file is no SQLite database"):
        load_study("big", f"sqlite:///{broken}")
    url = f"sqlite:///{tmp_path / 'busy.db'}"
    monkeypatch.setattr("autollmresearch.live.storage.BUSY_TIMEOUT", 0.1)
    monkeypatch.setattr(
        "autollmresearch.live.storage.open_storage.__kwdefaults__", {"heartbeat": False, "timeout": 0.1}
    )
    study = create_study("big", url, SPEC)
    next_trial(study)
    with sqlite3.connect(tmp_path / "busy.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageProblem, match=r"busy.db: it is locked by another program"):
            load_study("big", url).tell(0, 1.0)
        other.rollback()
    assert load_study("big", url).tell(0, 1.0).value == 1.0


def test_what_is_said_of_a_study_again_must_be_the_same(
    write_runs: Callable[..., Path], space_file: Path, url: str, sweep: list[list[object]]
) -> None:
    path = write_runs()
    question = Question(path, "N=7B,tokens=20B", space_file, budget=3, policy="random")
    study = create_study("mine", url, make_spec(question)[0])
    assert check_same("mine", study.spec, question) == ()
    assert check_same("mine", study.spec, Question()) == ()
    for change, message in (
        ({"target": "N=8B,tokens=20B"}, "another target"),
        ({"policy": "copy"}, "another policy (random; now copy)"),
        ({"metric": "train_loss"}, "another metric"),
        ({"direction": "maximize"}, "another direction"),
        ({"seed": 4}, "another seed (0; now 4)"),
    ):
        with pytest.raises(StudyProblem) as caught:
            check_same("mine", study.spec, replace(question, **change))  # type: ignore[arg-type]
        assert message in str(caught.value)
        assert "choose another --study" in str(caught.value)
    write_runs(sweep[:-1])
    with pytest.raises(StudyProblem, match="another set of cheaper runs"):
        check_same("mine", study.spec, question)
    path.unlink()
    assert check_same("mine", study.spec, question) == (
        f"{path} is not there any more; mine keeps the runs that it was made from",
    )
    assert load_study("mine", url).spec.cheaper[0].losses.tolist() == [3.7, 3.5, 3.7]


def test_reasons_are_read_a_sentence_at_a_time() -> None:
    text = "Expects 2.5 +- 0.1. The best lr fell 1.4x. It rests on 8 runs\n\nBeware: 3 e.g. four."
    assert sentences(text) == [
        *("Expects 2.5 +- 0.1.", "The best lr fell 1.4x.", "It rests on 8 runs", "Beware: 3 e.g. four."),
    ]
    assert sentences("") == []
