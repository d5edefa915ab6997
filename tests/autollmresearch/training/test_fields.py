"""Plain data becomes a dataclass, or one line says what is wrong with it and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from autollmresearch.training.fields import build
from llmconfig_gym.description import require
from llmconfig_gym.errors import InvalidDescription


@dataclass(frozen=True)
class Inner:
    """A section of a section."""

    rate: float = 0.1
    steps: int = 3

    def __post_init__(self) -> None:
        require(self.steps >= 1, "steps is at least 1", self.steps)


@dataclass(frozen=True)
class Outer:
    """One field of each kind."""

    name: str
    on: bool = False
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()
    bounds: tuple[float, float] = (0.0, 1.0)
    limit: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)


def test_every_kind_of_field() -> None:
    data = {
        "name": "x",
        "on": True,
        "kind": "b",
        "sizes": [1, "2k"],
        "bounds": [1, 2],
        "limit": 7.0,
        "weights": {"p": 1},
        "inner": {"rate": "1e-3"},
    }
    made = build(Outer, data)
    assert made == Outer("x", True, "b", (1, 2000), (1.0, 2.0), 7, {"p": 1.0}, Inner(1e-3, 3))
    assert type(made.limit) is int
    assert type(made.weights["p"]) is float


def test_what_is_left_out_has_its_default() -> None:
    assert build(Outer, {"name": "x", "inner": None, "limit": None}) == Outer("x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nme": 1}, "there is no 'nme'; did you mean 'name'? the keys are name, on, kind"),
        ({"inner": {"step": 1}}, "inner has no 'step'; did you mean 'steps'? the keys are rate, steps"),
        ({"inner": {"steps": 0}}, "inner: steps is at least 1; found 0"),
        ({"inner": {"rate": "fast"}}, "inner.rate is a number; found 'fast'"),
        ({"inner": {"rate": float("nan")}}, "inner.rate is a number; found nan"),
        ({"inner": {"steps": 1.5}}, "inner.steps is a whole number; found 1.5"),
        ({"inner": {"steps": True}}, "inner.steps is a number; found True"),
        ({"inner": [1]}, "inner maps rate, steps to values; found [1]"),
        ({"on": 1}, "on is true or false; found 1"),
        ({"name": 3}, "name is a text; found 3"),
        ({"kind": "c"}, "kind is a or b; found 'c'"),
        ({"sizes": 3}, "sizes is a list; found 3"),
        ({"bounds": [1]}, "bounds is a list of 2; found [1]"),
        ({"sizes": [3, "x"]}, "sizes[1] is a number; found 'x'"),
        ({"weights": [1]}, "weights maps names to values; found [1]"),
        ({"weights": {"p": "x"}}, "weights.p is a number; found 'x'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDescription) as caught:
        build(Outer, {"name": "x", **changes})
    assert str(caught.value).startswith(message)


def test_what_must_be_given_is_asked_for() -> None:
    with pytest.raises(InvalidDescription, match="it lacks name"):
        build(Outer, {})
    with pytest.raises(InvalidDescription, match="it maps name, on"):
        build(Outer, "text")
