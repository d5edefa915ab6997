"""The dialogue: one text for every model, with everything paid for, nothing else, and no name that is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.dialogue import Style, action, conversation, observation, prompt, reasoning, shown
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policies.chat import Chat
from autollmresearch.policy import Policy, Proposal, State
from llmconfig_gym.action import read_action
from llmconfig_gym.catalog import SOURCES, load_suite
from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.sources.names import forbidden_in
from llmconfig_gym.suite import Suite
from llmconfig_gym.text import number

ProblemOf = Callable[..., Problem]
Targets = Mapping[str, Experiment]


def test_the_modules_stand_in_their_order(targets: Targets, problem_of: ProblemOf) -> None:
    text = prompt(problem_of(targets["pretraining"], budget=3), Style(evidence=True))
    order = [
        "Task: pretraining.",
        "Metric: loss, lower is better.",
        "Target: parameters",
        "lr: ",
        "Best 5 of",
        "Evidence:",
    ]
    order += ["Budget: 3 trials.", "Instructions:", "<think>", "<config>", "Do not repeat"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_demonstrations_are_the_best_runs_of_each_cheaper_experiment(targets: Targets, problem_of: ProblemOf) -> None:
    for e in targets.values():
        problem = problem_of(e)
        text = prompt(problem, Style(top=2))
        for runs in problem.cheaper:
            best, second, third = np.sort(runs.losses)[:3]
            block = next(b for b in text.split("\n\n") if b.startswith(f"Best 2 of {len(runs.losses)} runs at"))
            text = text.replace(block, "", 1)
            assert [line.rsplit(": ", 1)[1] for line in block.splitlines()[1:]] == [
                number(e.metric.sign * value, 5) for value in (best, second)
            ]
            if abs(third - second) > 1e-3:
                assert number(e.metric.sign * third, 5) not in block


def test_of_many_cheaper_experiments_the_ends_and_the_middle_are_shown(problem_of: ProblemOf, targets: Targets) -> None:
    runs = problem_of(targets["pretraining"]).cheaper[0]
    many = [replace(runs, fidelity=replace(runs.fidelity, cost=float(c))) for c in range(7)]
    assert [r.fidelity.cost for r in shown(many, 3)] == [0, 3, 6]
    assert [r.fidelity.cost for r in shown(many, 1)] == [6]
    assert shown(many[:2], 3) == many[:2]


def test_without_evidence_nothing_of_the_analyst_is_said(targets: Targets, problem_of: ProblemOf) -> None:
    assert "Expected" not in prompt(problem_of(targets["pretraining"]))


def test_evidence_changes_with_what_was_told(targets: Targets, problem_of: ProblemOf) -> None:
    e = targets["pretraining"]
    problem = problem_of(e, "metered:10")
    talk = conversation(State(problem, (e.outcome(0), e.outcome(5))), Style(evidence=True))
    blocks = [m["content"].split("Evidence: ")[1].split("Budget:")[0] for m in talk[::2]]
    assert len(set(blocks)) == 3
    assert "and 2 on the target" in blocks[2]


def test_a_conversation_grows_and_never_changes(targets: Targets, problem_of: ProblemOf) -> None:
    e = targets["pretraining"]
    problem = problem_of(e)
    outcomes = (e.outcome(0), e.tell({"x": 1}), e.outcome(2))
    talks = [conversation(State(problem, outcomes[:n])) for n in range(4)]
    for shorter, longer in pairwise(talks):
        assert longer[: len(shorter)] == shorter
        assert [m["role"] for m in longer] == ["user", "assistant"] * (len(longer) // 2) + ["user"]
    assert "unknown" in talks[2][-1]["content"] or "no parameter" in talks[2][-1]["content"]
    assert talks[3][-1]["content"].endswith("2 trials left.")


def test_what_a_model_read_and_said_stands_as_it_was(targets: Targets, problem_of: ProblemOf) -> None:
    e = targets["pretraining"]
    said = Proposal("<think>Hm</think> anything at all", prompt="as it was read", reasoning="Hm")
    state = State(problem_of(e), (e.outcome(0),), proposals=(said,), hint="The best is lr 1.")
    talk = conversation(state)
    assert [m["content"] for m in talk[:2]] == [said.prompt, said.config]
    assert talk[2]["content"] == observation(state.problem, e.outcome(0), 4) + "\nThe best is lr 1."


def test_only_outcomes_paid_for_are_said(
    targets: Targets, problem_of: ProblemOf, scripted: Callable[..., Policy]
) -> None:
    for task, e in targets.items():
        problem = problem_of(e, "metered:3")
        (played,) = run_episodes(make_policy("random"), [e], [problem], [0])
        text = "\n".join(m["content"] for m in conversation(State(problem, played.outcomes)))
        paid = {number(v, 5) for r in problem.cheaper for v in e.metric.sign * r.losses}
        paid |= {number(o.value, 5) for o in played.outcomes if o.value is not None}
        unpaid = {number(float(v), 5) for v in e.values if np.isfinite(v)} - paid
        assert not [v for v in unpaid if f" {v}." in text or f": {v}\n" in text], task


def test_an_action_is_read_as_the_configuration_it_says(targets: Targets) -> None:
    for e in targets.values():
        for row in range(len(e.pool)):
            text = action(e.pool.config(row), "Because.")
            assert reasoning(text) == "Because."
            config = read_action(text, e.space)
            assert not isinstance(config, Outcome)
            assert e.tell(config).config == e.pool.config(row)


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        ("<think> a </think>\n<config>{}</config>", "a"),
        ("a </think> <config>{}</config>", "a"),
        ("So a. <config>{}</config>", "So a."),
        ("<think> cut off", "cut off"),
        ("", ""),
    ],
)
def test_thoughts_are_found_with_and_without_tags(text: str, thought: str) -> None:
    assert reasoning(text) == thought


def test_a_bad_answer_is_told_what_was_wrong(
    targets: Targets, problem_of: ProblemOf, scripted: Callable[..., Policy]
) -> None:
    e = targets["pretraining"]
    good = {"lr": e.pool.config(0)["lr"], "batch_size": e.pool.config(0)["batch_size"]}
    cases = {
        "I think a smaller rate is better.": "no configuration was found",
        "<config>{'lr': 1e-3": "cut off",
        '<config>{"lr": 0.001}</config>': "batch_size",
        '<config>{"lr": 0.001, "batch_size": 8, "beta": 1}</config>': "beta",
        f'<config>{json.dumps(good)}</config> or <config>{{"lr": 0.5, "batch_size": 8}}</config>': "2 different",
        "x" * 100_000: "at most",
    }
    for text, said in cases.items():
        (played,) = run_episodes(scripted(text), [e], [problem_of(e, budget=1)], [0])
        assert played.turns[0].outcome.kind == "invalid"
        assert played.reward == 0
        assert said in observation(problem_of(e), played.turns[0].outcome, 0), text[:50]


def test_forgiven_forms_are_measured(targets: Targets, problem_of: ProblemOf, scripted: Callable[..., Policy]) -> None:
    e = targets["pretraining"]
    config = e.pool.config(0)
    lr, batch = f"{config['lr']:.10f}", config["batch_size"]
    for text in (
        f'<config>{{"lr": {lr}, "batch_size": {batch},}}</config>',
        f'Lower it.\n```json\n{{"lr": {float(lr):e}, "batch_size": {batch}}}\n```',
        f"thoughts </think> <config>{{'lr': '{lr}', 'batch_size': {batch}.0}}</config>",
    ):
        (played,) = run_episodes(scripted(text), [e], [problem_of(e, budget=1)], [0])
        assert played.turns[0].outcome == e.outcome(0)


def everything_read(suite: Suite) -> Iterator[str]:
    """Every prompt of a suite, plain and with evidence, and what is read after a trial."""
    for summary in suite.summaries:
        e = suite.experiment(summary.id)
        cheaper = suite.cheaper(summary.id)
        for protocol in ("full", "metered:10") if cheaper else ("full",):
            problem = Protocol.parse(protocol).problems(e, cheaper, 5, [0])[0]
            yield prompt(problem, Style())
            if protocol == "metered:10":
                yield prompt(problem, Style(evidence=True))
        for row in (0, len(e.pool) - 1):
            yield observation(problem, e.outcome(row), 4)
            yield action(e.pool.config(row))


@pytest.mark.parametrize("name", ["micro", *SOURCES])
def test_no_prompt_of_any_suite_names_a_data_set_or_a_paper(name: str, suite: Callable[[str], Suite]) -> None:
    chosen = load_suite("micro") if name == "micro" else suite(name)
    count = 0
    for text in everything_read(chosen):
        count += 1
        assert forbidden_in(text) == [], text
        assert text.isascii()
        assert not any(id_ in text for id_ in chosen.ids)
    assert count > 3 * len(chosen.ids)


@pytest.fixture(scope="module")
def small_tokens() -> Chat:
    """The tokenizer of `recipes/cpu-mini.yaml`, made from fewer texts."""
    from autollmresearch.training.prior import episode
    from autollmresearch.training.recipe import read_recipe
    from autollmresearch.training.scratch import make_tokenizer, suite_texts

    recipe = read_recipe(Path(__file__).parents[2] / "recipes" / "cpu-mini.yaml")
    style = recipe.agent.style
    played = [episode(recipe.prior, style, recipe.seed, i)[0] for i in range(400)]
    texts = ["\n".join(m["content"] for m in messages) for messages in played]
    return Chat(make_tokenizer(texts, recipe.model, suite_texts(recipe.model.suites, style)))


@pytest.mark.parametrize("name", ["micro", "steplaw"])
def test_a_pretraining_episode_of_five_turns_fits_in_1024_tokens(
    name: str, suite: Callable[[str], Suite], small_tokens: Chat
) -> None:
    """Three cheaper experiments with five demonstrations each, every turn thought about as training does."""
    from autollmresearch.thoughts import thought

    chosen = load_suite("micro") if name == "micro" else suite(name)
    lengths = []
    for e in chosen.split("medium"):
        if e.task != "pretraining":
            continue
        problem = Protocol.parse("full").problems(e, chosen.cheaper(e.id), 5, [0])[0]
        assert len(problem.cheaper) >= 3
        state = State(problem)
        for row in np.argsort(e.losses)[:5]:
            config = e.pool.config(int(row))
            said = Proposal(action(config, thought(state, config)))
            state = State(problem, (*state.trials, e.outcome(int(row))), proposals=(*state.proposals, said))
        talk = conversation(state)[:-1]
        assert talk[0]["content"].count("Best 5 of") == 3
        lengths.append(len(small_tokens.encode(talk).ids))
    assert len(lengths) > 1
    assert max(lengths) <= 1024, lengths
