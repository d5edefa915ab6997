"""Reading actions: every form that means one configuration gives it; everything else says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmconfig_gym.action import MAX_TEXT, read_action
from llmconfig_gym.env import ConfigEnv
from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
from llmconfig_gym.space import Space

CONFIG = {"lr": 0.001, "batch_size": 64}
SAID = json.dumps(CONFIG)
SPACE = Space(
    (
        Grid("lr", (1e-4, 1e-3), log=True),
        Integer("batch_size", 1, 64),
        Real("dropout", 0, 1),
        Categorical("schedule", ("1", "cosine")),
        Simplex("weights", ("web", "code")),
    )
)


def refusal(action: object, space: Space | None = None) -> str:
    found = read_action(action, space)
    assert isinstance(found, Outcome)
    assert found.kind == "invalid"
    assert found.message.startswith("invalid: ")
    assert found.message.isascii()
    return found.message


@pytest.mark.parametrize(
    "text",
    [
        SAID,
        f"<config>{SAID}</config>",
        f"<think> small models wanted 2e-3 </think>\n<config>{SAID}</config>",
        f"I would lower the rate.\n<config>{SAID}</config>\nThat is all.",
        f"```json\n{SAID}\n```",
        f"<config>\n```json\n{SAID}\n```\n</config>",
        f"<config>config = {SAID}</config>",
        f"So: {SAID}.",
        '<config>{"lr": 0.001, "batch_size": 64,}</config>',
        '{"lr": 1e-3, "batch_size": 64 , \n }',
        "<config>{'lr': 0.001, 'batch_size': 64}</config>",
        f'<think> first <config>{{"lr": 1}}</config> but no </think><config>{SAID}</config>',
        f"<config>{SAID}</config> I say again: <config>{SAID}</config>",
        f"<think> I will take <config>{SAID}</config></think>",
        f"<think> never closed <config>{SAID}</config>",
        f"closed only </think> {SAID}",
        f"<config>{{}}</config><config>{SAID}".replace("{}", SAID),
        f"<config> a set {{1, 2}} and {SAID}</config>",
    ],
)
def test_forms_that_mean_one_configuration(text: str) -> None:
    assert read_action(text) == CONFIG


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (f'<config>{SAID}</config><config>{{"lr": 1}}</config>', "found 2 different configurations in one turn"),
        (f'{SAID} or {{"lr": 1}}', "found 2 different configurations in one turn"),
        ('<config>{"lr": 1, "batch_size": 2, "lr": 3}</config>', "'lr' has two values in one configuration"),
        ('<config>{"lr": 0.001, "batch_si', "was cut off; write <config>"),
        ("<config>lr 0.001</config>", "no JSON object"),
        ("<config></config>", "no JSON object"),
        ("I do not know.", "no configuration was found; write <config>"),
        ("", "no configuration was found"),
        ("[1, 2]", "no configuration was found"),
        (3, "found a int"),
        (None, "found a NoneType"),
        ("x" * (MAX_TEXT + 1), f"at most {MAX_TEXT} characters, found {MAX_TEXT + 1}"),
    ],
)
def test_what_is_wrong_is_said(action: object, message: str) -> None:
    assert message in refusal(action)


@given(
    before=st.text(), after=st.text(), config=st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3))
)
def test_a_closed_block_is_the_action_whatever_is_around_it(before: str, after: str, config: dict[str, Any]) -> None:
    said = json.dumps(config)
    for text in (
        said,
        f"<config>{said}</config>",
        f"{before}<config>{said}</config>{after}",
        f"<config>1</config>{before}<config>{said}</config>",
        f"<config>{said}</config>{before}<config>{after}",
        f"<config>{said}</config>{before}</config>",
        f"<config>{before}<config>{said}</config>",
    ):
        assert read_action(text) == config


@given(action=st.text() | st.text("{}[]<>/config\"':,1 \n", max_size=60))
def test_any_text_is_a_configuration_or_says_why_not(action: str) -> None:
    for space in (None, SPACE):
        found = read_action(action, space)
        assert isinstance(found, Mapping) or (found.kind == "invalid" and found.message.isascii())


@pytest.mark.parametrize(
    "text",
    [
        "<config>" * 8192,
        "<config>" * 4000 + "</config>" * 3000,
        "<config></config>" * 3800,
        "[" * MAX_TEXT,
        "9" * 60_000,
        '{"a":' * 13_000,
        "{" * 30_000 + "}" * 30_000,
        "{}, " * 16_000 + "{1}",
        ",   " * 16_000 + "}",
        "{" + "'" * 65_000 + "}",
        "x" * 65_537,
        "noise {" * 9_000,
    ],
)
def test_hostile_text_is_refused_without_delay_or_error(text: str) -> None:
    found = read_action(text)
    assert found == {} or (isinstance(found, Outcome) and found.kind == "invalid")


def test_numbers_in_quotes_are_numbers_where_the_space_wants_some() -> None:
    said = {
        "lr": "1e-3",
        "batch_size": " 64 ",
        "dropout": ".5",
        "schedule": "1",
        "weights": {"web": "0.3", "code": 0.7},
    }
    found = read_action(json.dumps(said), SPACE)
    assert found == {
        "lr": 0.001,
        "batch_size": 64,
        "dropout": 0.5,
        "schedule": "1",
        "weights": {"web": 0.3, "code": 0.7},
    }
    assert isinstance(found, Mapping)
    assert type(found["batch_size"]) is int
    assert read_action(json.dumps(said)) == said


def test_a_configuration_said_again_with_quotes_is_the_same() -> None:
    said = '<config>{"lr": 0.001, "batch_size": 64}</config> <config>{"lr": "1e-3", "batch_size": "64"}</config>'
    assert read_action(said, SPACE) == CONFIG
    assert "found 2 different configurations" in refusal(said)


@pytest.mark.parametrize("value", ["about 64", "64 sequences", "1e999x", "0x10", "nan", "1_000", "9" * 70, "\u0664"])
def test_what_is_no_number_stays_as_it_was_written(value: str) -> None:
    assert read_action(json.dumps({"batch_size": value}), SPACE) == {"batch_size": value}


def test_an_agent_reads_what_was_wrong_and_pays_a_trial(experiment: Experiment) -> None:
    env = ConfigEnv(experiment, 3)
    env.reset()
    config = json.dumps(experiment.pool.config(0))
    text, reward, _, _, info = env.step(f"<config>{config}</config><config>{{}}</config>")
    assert text == (
        'invalid: found 2 different configurations in one turn; write one, as <config>{"name": value, ...}</config>. '
        "2 trials left."
    )
    assert (reward, info["trials_left"]) == (0.0, 2)
    assert env.step(f"<think>now one</think>\n```json\n{config}\n```")[4]["outcome"]["kind"] == "measured"
