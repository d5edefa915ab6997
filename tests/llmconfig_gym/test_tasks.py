"""What an agent reads: everything it needs, in plain ASCII, and no name it may remember results under."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.parameter import Grid, Real
from llmconfig_gym.pool import Pool
from llmconfig_gym.sources.names import forbidden_in
from llmconfig_gym.space import Space
from llmconfig_gym.tasks import TASKS, Task, describe, describe_outcome, task_of
from llmconfig_gym.text import number

Make = Callable[..., Experiment]


def test_there_are_four_tasks_known_by_their_names() -> None:
    assert set(TASKS) == {"architecture", "pretraining", "grpo", "mixture"}
    assert all(task_of(name) is task and task.name == name for name, task in TASKS.items())
    assert task_of("quantisation").name == "other"


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_tasks_are_explained_in_ascii_without_names(task: Task) -> None:
    for text in (task.about, *task.parameters, *task.parameters.values()):
        assert text.isascii()
        assert text.isprintable()
        assert not forbidden_in(text)
    assert task.about.endswith(".")
    assert 30 < len(task.about.split()) < 60, "an agent reads it in every prompt"


def test_a_description_says_all_that_can_be_said_before_the_first_trial(experiment: Experiment) -> None:
    text = describe(experiment, budget=3)
    assert text.startswith(f"Task: {experiment.task}. ")
    assert experiment.fidelity.text() in text
    for p in experiment.space.parameters:
        assert any(line.startswith(f"- {p.name}") and p.legal() in line for line in text.splitlines())
        assert task_of(experiment.task).parameters.get(p.name, "") in text
    assert f"Metric: {experiment.metric.name}" in text
    assert ("higher is better" if experiment.metric.direction == "maximize" else "lower is better") in text
    assert all(f"- {name}: {about}" in text for name, about in experiment.metric.details.items())
    assert "Budget: 3 trials." in text
    assert text.isascii()


def test_a_description_does_not_name_the_suite_or_the_experiment(experiment: Experiment) -> None:
    assert "test/" not in describe(experiment, budget=3)


def test_one_trial_is_one_trial_and_no_budget_is_not_mentioned(experiment: Experiment) -> None:
    assert "Budget: 1 trial. " in describe(experiment, budget=1)
    assert "Budget" not in describe(experiment)
    assert describe_outcome(experiment.metric, Outcome("invalid", message="x"), 1).endswith(" 1 trial left.")
    assert describe_outcome(experiment.metric, Outcome("invalid", message="x"), 0).endswith(" 0 trials left.")


def test_a_parameters_own_words_come_first(make: Make) -> None:
    space = Space((Real("lr", 0.0, 1.0, about="as the owner says", unit="per step"), Grid("beta2", (0.9, 0.99))))
    text = describe(make(Pool(space, {"lr": [0.5], "beta2": [0.9]}), [1.0]))
    assert "- lr (per step): as the owner says; legal: 0 to 1" in text
    assert f"- beta2: {TASKS['pretraining'].parameters['beta2']}; legal: 0.9, 0.99" in text


def test_an_outcome_says_what_was_told_the_value_and_its_details(experiment: Experiment) -> None:
    for row in range(len(experiment.pool)):
        outcome = experiment.outcome(row)
        text = describe_outcome(experiment.metric, outcome, trials_left=2)
        assert text.endswith("2 trials left.")
        assert text.isascii()
        assert outcome.config is not None
        if outcome.value is None:
            assert text.startswith("the run diverged")
        else:
            assert text.startswith(f"{experiment.metric.name} {number(outcome.value, 5)}.")
        assert all(f"{k} {number(v, 4)}" in text for k, v in outcome.details.items())


def test_a_refusal_is_its_message(experiment: Experiment) -> None:
    outcome = experiment.tell({})
    assert describe_outcome(experiment.metric, outcome) == outcome.message
