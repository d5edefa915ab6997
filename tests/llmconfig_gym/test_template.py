"""A command of the user's own: filled in without a shell, and the numbers that it prints."""

from __future__ import annotations

import pytest

from llmconfig_gym.errors import InvalidCommand
from llmconfig_gym.template import Template, read_number


def test_a_value_stays_inside_its_argument() -> None:
    template = Template.parse("train --way={way} '{lr} x' {flag}", "--command")
    assert template.names == {"way", "lr", "flag"}
    filled = template.fill({"way": "a b; rm -rf $(pwd) {lr}", "lr": 1e-4, "flag": True})
    assert filled == ["train", "--way=a b; rm -rf $(pwd) {lr}", "0.0001 x", "true"]


def test_a_list_of_arguments_is_not_split() -> None:
    assert Template.parse(["my train", "{lr}"], "command").fill({"lr": 1}) == ["my train", "1"]


@pytest.mark.parametrize(("command", "message"), [("", "is empty"), ([], "is empty"), ("a 'b", "cannot be split")])
def test_commands_that_are_none(command: str | list[str], message: str) -> None:
    with pytest.raises(InvalidCommand, match=f"command {message}"):
        Template.parse(command, "command")


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("val_loss=2.31.", 2.31),
        ("step 1 val_loss: 5\nstep 2 val_loss: 4.5e-3\n", 4.5e-3),
        ('{"val_loss": 0.25}', 0.25),
        ("VAL_LOSS = -.5", -0.5),
        ("my_val_loss=1", None),
        ("val_loss=information", None),
        ("val_loss 3", None),
        ("", None),
    ],
)
def test_reading_a_number(output: str, value: float | None) -> None:
    assert read_number(output, "val_loss") == value
