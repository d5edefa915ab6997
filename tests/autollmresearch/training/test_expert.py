"""The expert: the best it may, never twice the same, and what it stumbles over is not learned."""

from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.dialogue import Style, conversation, prompt
from autollmresearch.policy import State
from autollmresearch.training.expert import ExpertSettings, hint, play
from autollmresearch.training.landscapes import LandscapeSettings, landscape
from llmconfig_gym.action import read_action
from llmconfig_gym.experiment import Experiment

SETTINGS = LandscapeSettings(budgets=(5,))
SURE = ExpertSettings(jitter=0.0, stumble=0.0, hints=0.0)


def rows(e: Experiment, messages: list[dict[str, str]]) -> list[int]:
    """The rows of the pool that an episode told."""
    found = []
    for message in messages[1::2]:
        config = read_action(message["content"], e.space)
        row, exact = e.pool.find(e.space.check(config))
        assert exact
        found.append(row)
    return found


def test_never_twice_the_same_and_always_legal() -> None:
    for seed in range(60):
        drawn = landscape(seed, SETTINGS)
        messages, learned = play(drawn, Style(), ExpertSettings(stumble=0.5), np.random.default_rng(seed))
        told = rows(drawn.experiment, messages)
        assert len(set(told)) == len(told) == len(learned) == drawn.problem.budget
        assert [m["role"] for m in messages] == ["user", "assistant"] * len(told)
        assert messages[0]["content"].startswith(prompt(drawn.problem))


def test_without_jitter_the_best_first_and_in_order() -> None:
    for seed in range(20):
        drawn = landscape(seed, SETTINGS)
        messages, learned = play(drawn, Style(), SURE, np.random.default_rng(0))
        told = drawn.true[rows(drawn.experiment, messages)]
        np.testing.assert_array_equal(told, np.sort(drawn.true)[: len(told)])
        assert all(learned)


def test_jitter_shrinks_and_its_mode_is_the_best() -> None:
    drawn = landscape(5, replace(SETTINGS, kinds={"pretraining": 1.0}))
    settings = replace(SURE, jitter=0.2, shrink=0.3)
    played = [rows(drawn.experiment, play(drawn, Style(), settings, np.random.default_rng(s))[0]) for s in range(300)]
    first = [told[0] for told in played]
    assert np.bincount(first).argmax() == np.argmin(drawn.true)
    assert len(set(first)) > 1
    missed = [[drawn.true[told[t]] - np.delete(drawn.true, told[:t]).min() for told in played] for t in (0, 3)]
    assert np.mean(missed[1]) < np.mean(missed[0])


def test_stumbles_are_shown_and_not_learned_and_the_last_is_none() -> None:
    missed: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(80):
        drawn = landscape(seed, SETTINGS)
        messages, learned = play(drawn, Style(), replace(SURE, stumble=0.5), np.random.default_rng(seed))
        assert learned[-1]
        for row, own in zip(rows(drawn.experiment, messages), learned, strict=True):
            missed[own].append(float(drawn.experiment.regret(drawn.true[row])))
    share = len(missed[False]) / sum(map(len, missed.values()))
    assert 0.3 < share < 0.5
    assert np.mean(missed[False]) > np.mean(missed[True]) + 0.1


def test_hints_name_the_best_and_are_followed_without_a_word() -> None:
    followed = 0
    for seed in range(40):
        drawn = landscape(seed, SETTINGS)
        messages, _ = play(drawn, Style(), replace(SURE, jitter=5.0, hints=1.0), np.random.default_rng(seed))
        best = int(np.argmin(drawn.experiment.losses))
        told = rows(drawn.experiment, messages)
        for turn, read in enumerate(m["content"] for m in messages[::2]):
            if hint(drawn.experiment.pool.config(best)) in read:
                assert read.endswith(f"\n{hint(drawn.experiment.pool.config(best))}")
                assert told[turn] == best
                followed += 1
        assert not any("hint" in m["content"].lower() for m in messages[1::2])
    assert followed > 20


@pytest.mark.parametrize("change", [{"jitter": -1.0}, {"stumble": 1.5}, {"hints": -0.1}])
def test_settings_out_of_range(change: dict[str, float]) -> None:
    with pytest.raises(Exception, match=next(iter(change))):
        replace(SURE, **change)


def test_what_is_read_is_what_an_agent_reads_evidence_included() -> None:
    drawn = landscape(3, LandscapeSettings(kinds={"pretraining": 1}, budgets=(3,)))
    style = Style(evidence=True)
    messages, _ = play(drawn, style, SURE, np.random.default_rng(0))
    outcomes = tuple(drawn.experiment.outcome(row) for row in rows(drawn.experiment, messages))
    played = conversation(State(drawn.problem, outcomes[:-1]), style)
    assert [m["content"] for m in messages[::2]] == [m["content"] for m in played[::2]]
    assert all("Evidence: " in m["content"] for m in messages[::2])
