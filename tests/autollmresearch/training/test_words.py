"""Words: lent by low and medium experiments, never an outcome, never by a high one."""

from pathlib import Path

import numpy as np
import pytest

from autollmresearch.dialogue import prompt
from autollmresearch.training.landscapes import LandscapeSettings, draw, landscape
from autollmresearch.training.words import lent
from llmconfig_gym.errors import UnknownName


def test_a_suite_lends_names_and_meanings_by_task(toy_path: Path) -> None:
    words = lent((str(toy_path),))
    assert {task: [w.metric.name for w in some] for task, some in words.items()} == {
        "pretraining": ["loss"],
        "mixture": ["accuracy"],
        "architecture": ["perplexity"],
    }
    assert list(words["pretraining"][0].parameters) == ["lr", "batch_size"]
    assert words["pretraining"][0].metric.details == {"gradient_norm": "norm of the gradient"}


def test_the_embedded_suite_lends_what_its_prompts_say() -> None:
    settings = LandscapeSettings(kinds={"pretraining": 1.0}, usual=2, parameters=(2, 2), suites=("micro",), details=1.0)
    said = [prompt(draw(seed, settings)[1]) for seed in range(20)]
    metric = lent(("micro",))["pretraining"][0].metric
    lent_words = [text for text in said if metric.about in text]
    assert 8 < len(lent_words) < 20
    assert all("(sequences of 32 tokens)" in text for text in lent_words)


def test_words_change_no_outcome(toy_path: Path) -> None:
    plain, worded = (
        LandscapeSettings(kinds={"pretraining": 1.0}, suites=suites, details=0.0) for suites in ((), (str(toy_path),))
    )
    for seed in range(10):
        one, other = (landscape(seed, s) for s in (plain, worded))
        np.testing.assert_array_equal(one.true, other.true)
        np.testing.assert_array_equal(one.experiment.values, other.experiment.values)


def test_details_come_with_outcomes_as_often_as_asked() -> None:
    always, never = (LandscapeSettings(details=share) for share in (1.0, 0.0))
    for seed in range(20):
        e = draw(seed, always)[0]
        assert set(e.details) == set(e.metric.details) != set()
        assert e.outcome(0).details
        assert not draw(seed, never)[0].details


def test_all_experiments_of_a_problem_speak_of_one_space() -> None:
    settings = LandscapeSettings(kinds={"pretraining": 1.0}, usual=2, suites=("micro",))
    for seed in range(10):
        p = draw(seed, settings)[1]
        told = {
            (q.name, q.about, q.unit) for space in (p.space, *(r.space for r in p.cheaper)) for q in space.parameters
        }
        assert len(told) == len(p.space.parameters)


def test_an_unknown_suite() -> None:
    with pytest.raises(UnknownName):
        draw(0, LandscapeSettings(suites=("mikro",)))
