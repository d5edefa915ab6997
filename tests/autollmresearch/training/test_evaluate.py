"""Evaluation: the arithmetic by hand, and nothing that training may draw."""

from collections.abc import Callable

import numpy as np
import pytest

from autollmresearch.dialogue import action
from autollmresearch.errors import InvalidSettings
from autollmresearch.methods import make_policy
from autollmresearch.policy import Policy
from autollmresearch.training.evaluate import evaluate
from autollmresearch.training.landscapes import HELD_OUT, LandscapeSettings, draw

SETTINGS = LandscapeSettings(kinds={"pretraining": 1.0}, parameters=(1, 2))


def test_peers_and_their_order() -> None:
    told = {name: evaluate(make_policy(name), SETTINGS, range(60), budget=3) for name in ("random", "copy")}
    assert told["copy"].reward > told["random"].reward
    for e in told.values():
        assert e.episodes == 60
        assert len(e.regret) == len(e.regret_error) == 3
        assert list(e.regret) == sorted(e.regret, reverse=True)
        assert e.invalid == e.duplicates == 0


def test_batches_change_nothing() -> None:
    one, other = (evaluate(make_policy("random"), SETTINGS, range(20), 2, batch=b) for b in (3, 64))
    assert one == other


def test_invalid_and_repeated_trials_are_counted(scripted: Callable[..., Policy]) -> None:
    told = evaluate(scripted("", "nothing", "<config>{}</config>"), SETTINGS, range(4), budget=3)
    assert (told.reward, told.invalid, told.duplicates) == (0.0, 1.0, 0.0)
    assert told.regret == (1.0, 1.0, 1.0)
    e, _ = draw(7, LandscapeSettings(kinds={"pretraining": 1.0}, parameters=(1, 2), budgets=(2,)))
    best = action(e.pool.config(int(np.argmin(e.losses))))
    told = evaluate(scripted(best, best), SETTINGS, [7], budget=2)
    assert (told.reward, told.invalid, told.duplicates) == (pytest.approx(0.5), 0.0, 0.5)
    assert told.regret == (0.0, 0.0)
    assert told.reward_error == 0.0


def test_standard_errors() -> None:
    some = [evaluate(make_policy("random"), SETTINGS, [seed], 1).reward for seed in range(12)]
    told = evaluate(make_policy("random"), SETTINGS, range(12), 1)
    assert told.reward == pytest.approx(np.mean(some))
    assert told.reward_error == pytest.approx(np.std(some, ddof=1) / np.sqrt(12))


@pytest.mark.parametrize("seeds", [[], [HELD_OUT], [1, HELD_OUT + 5], [-1]])
def test_seeds_of_training_are_refused(seeds: list[int]) -> None:
    with pytest.raises(InvalidSettings, match="where nothing is trained on"):
        evaluate(make_policy("random"), SETTINGS, seeds)


def test_it_reads_like_a_line() -> None:
    line = str(evaluate(make_policy("random"), SETTINGS, range(3), 2))
    assert line.startswith("reward 0.")
    assert "(3 episodes)" in line
