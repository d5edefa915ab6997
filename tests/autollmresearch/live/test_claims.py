"""Two workers never keep one configuration, in whichever order they write and read."""

import threading
import time

import optuna
import pytest
from optuna.trial import FrozenTrial

from autollmresearch.live import claims
from autollmresearch.live.claims import claim, keep, wait_for_lower

X = {"x": 0.5}
Y = {"x": 0.25}


def _trials(study: optuna.Study, count: int) -> list[FrozenTrial]:
    return [study._storage.get_trial(study.ask()._trial_id) for _ in range(count)]


def _claimed(study: optuna.Study, number: int) -> object:
    return study.trials[number].system_attrs[claims.CLAIM]["params"]


def test_a_claim_is_kept_unless_another_trial_has_it() -> None:
    study = optuna.create_study()
    first, second, third = _trials(study, 3)
    assert claim(study, first, X)
    assert not claim(study, second, X)
    assert _claimed(study, 1) == {}
    assert claim(study, second, Y)
    assert claim(study, third, {"x": 0.75})


def test_a_finished_trial_keeps_what_it_had() -> None:
    study = optuna.create_study()
    study.optimize(lambda t: t.suggest_float("x", 0.5, 0.5), n_trials=1)
    assert not claim(study, _trials(study, 1)[0], X)


def test_the_lower_number_waits_until_the_higher_gives_way() -> None:
    """The higher one wrote first: it may have read before the lower one wrote, and keep its choice."""
    study = optuna.create_study()
    first, second = _trials(study, 2)
    claims._write(study, second, X, final=False)
    settle = threading.Timer(0.2, lambda: claims._write(study, second, {}, final=False))
    settle.start()
    assert claim(study, first, X)
    settle.join()


def test_the_lower_number_gives_way_once_the_higher_is_final() -> None:
    study = optuna.create_study()
    first, second = _trials(study, 2)
    claims._write(study, second, X, final=False)
    settle = threading.Timer(0.2, lambda: keep(study, second, X))
    settle.start()
    assert not claim(study, first, X)
    settle.join()


def test_a_claim_of_a_killed_worker_is_given_way_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "PATIENCE", 0.1)
    study = optuna.create_study()
    first, second = _trials(study, 2)
    claims._write(study, second, X, final=False)
    assert not claim(study, first, X)


@pytest.mark.parametrize("seed", range(5))
def test_of_many_threads_with_one_choice_exactly_one_keeps_it(seed: int) -> None:
    study = optuna.create_study()
    trials = _trials(study, 8)
    kept: list[int] = []

    def work(trial: FrozenTrial) -> None:
        time.sleep(0.001 * ((trial.number * 5 + seed) % 3))
        if claim(study, trial, X):
            kept.append(trial.number)

    threads = [threading.Thread(target=work, args=(trial,)) for trial in trials]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 1


def test_a_trial_waits_for_lower_ones_that_have_just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "JUST_STARTED", 30.0)
    study = optuna.create_study()
    first, second = _trials(study, 2)
    order: list[str] = []

    def choose() -> None:
        order.append("first")
        keep(study, first, X)

    chooses = threading.Timer(0.3, choose)
    chooses.start()
    wait_for_lower(study, second)
    order.append("second")
    chooses.join()
    assert order == ["first", "second"]


def test_nobody_waits_long_for_a_trial_that_never_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "JUST_STARTED", 0.2)
    study = optuna.create_study()
    wait_for_lower(study, _trials(study, 2)[1])  # returns
    assert study.trials[0].system_attrs == {}


def test_nobody_waits_for_a_trial_that_has_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "JUST_STARTED", 600.0)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.ask().suggest_float("x", 0, 1)  # some other sampler's
    wait_for_lower(study, _trials(study, 1)[0])  # returns
