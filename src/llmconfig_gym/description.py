"""What people write in YAML about their own experiments: the metric, the parameters, a quantity such as 7B.

Nothing written by hand is trusted to have the right type: every part is checked here, and what is wrong is said in
one line that names what was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmconfig_gym.errors import InvalidDescription
from llmconfig_gym.experiment import Metric
from llmconfig_gym.importing.units import try_quantity
from llmconfig_gym.parameter import EXACT, shown
from llmconfig_gym.plain import is_number, is_text, parameter_from_dict
from llmconfig_gym.space import Space

if TYPE_CHECKING:
    import yaml

DEFAULT_METRIC = "val_loss"

MOST_VALUES = 100_000
"""Values in a file, each alias counted as what it stands for."""

DEEPEST = 50
"""Lists and mappings within one another."""


def require(fits: object, expected: str, found: object) -> None:
    """Raises `InvalidDescription` unless `fits`."""
    if not fits:
        raise InvalidDescription(f"{expected}; found {shown(found)}")


def read_yaml(path: Path, what: str, keys: Sequence[str]) -> dict[str, Any]:
    """A YAML file that maps some of `keys` to values; `what` is what it describes.

    Raises:
        InvalidDescription: it cannot be read, is no mapping, or has another key.
    """
    try:
        data = plain_yaml(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InvalidDescription(f"{path} cannot be read: {problem.strerror or problem}") from None
    except (InvalidDescription, ValueError) as problem:
        raise InvalidDescription(f"{path} cannot be read as YAML: {problem}") from None
    if not isinstance(data, dict):
        raise InvalidDescription(f"{path}: {what} maps its keys to values; found {shown(data)}")
    unknown = [k for k in data if k not in keys]
    if unknown:
        close = get_close_matches(str(unknown[0]), keys, n=1)
        advice = f"did you mean {close[0]!r}? " if close else ""
        raise InvalidDescription(f"{path}: {advice}the keys are {', '.join(keys)}; found {shown(unknown)}")
    return data


def plain_yaml(text: str) -> Any:
    """The plain data in a YAML document; like `yaml.safe_load`, but a few lines of aliases cannot grow into gigabytes.

    Raises:
        InvalidDescription: it is no YAML; written out, it is longer than `MOST_VALUES` or has no end; or it is nested
            too deeply.
    """
    try:
        return _plain_yaml(text)
    except InvalidDescription:
        raise
    except Exception as problem:  # PyYAML raises nearly anything for a tag with the wrong value, such as !!bool x
        kind = "" if "\n" in str(problem) else f"{type(problem).__name__}: "
        raise InvalidDescription(f"{kind}{problem}") from None


def _plain_yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            self.depth += 1
            if self.depth > DEEPEST:  # PyYAML takes seconds for a page of brackets
                raise InvalidDescription(f"it is nested more than {DEEPEST} deep")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _written_out(node, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _written_out(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node has when each alias is replaced by what it stands for."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        size = known[id(node)]
    else:
        known[id(node)] = MOST_VALUES  # what holds itself has no end
        inner = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        size = known[id(node)] = 1 + sum(_written_out(n, known) for n in inner)
    if size > MOST_VALUES:
        raise InvalidDescription(f"its aliases stand for more than {MOST_VALUES} values; write them out, or fewer")
    return size


def parse_metric(told: object, details: object, name: str | None = None) -> Metric:
    """The metric, written as its name or as a mapping of name, direction and about.

    Args:
        details: other numbers that a run gives, and what they mean.
        name: what it is called, in place of what is told.

    Raises:
        InvalidDescription: it is something else.
    """
    told = {"name": told} if is_text(told) else told
    fits = (
        isinstance(told, dict) and all(is_text(v) for v in told.values()) and {*told} <= {"name", "direction", "about"}
    )
    require(fits, "metric has a name, a direction and an about, all texts", told)
    assert isinstance(told, dict)
    direction = told.get("direction", "minimize")
    require(direction in ("minimize", "maximize"), "the metric's direction is minimize or maximize", direction)
    fits = isinstance(details, dict) and all(is_text(k) and is_text(v) for k, v in details.items())
    require(fits, "details maps names to what they mean", details)
    assert isinstance(details, dict)
    return Metric(name or told.get("name", DEFAULT_METRIC), direction, told.get("about", ""), details)


def parse_space(data: object) -> Space:
    """The space that a list of parameters describes. Numbers may be written as people do: 1e-4, 7B, 512k.

    Raises:
        InvalidDescription, InvalidSpace: it is no such list.
    """
    require(isinstance(data, list) and data, "parameters is a list of one or more mappings", data)
    assert isinstance(data, list)
    return Space(tuple(parameter_from_dict(_with_numbers(p)) for p in data))


def _with_numbers(parameter: object) -> object:
    """A parameter whose range is in numbers: YAML reads 1e-4 (without a point) as text."""
    if not isinstance(parameter, Mapping):
        return parameter
    fields = dict(parameter)
    for key in ("low", "high"):
        fields[key] = as_quantity(fields[key]) if key in fields else None
    if isinstance(fields.get("levels"), list):
        fields["levels"] = [as_quantity(v) for v in fields["levels"]]
    return {k: v for k, v in fields.items() if v is not None}


def as_quantity(value: object) -> object:
    """The number that a text such as 7B or 1e-4 writes, whole where it is; anything else as it is."""
    if not isinstance(value, str) or (number := try_quantity(value)) is None or not is_number(number):
        return value
    return int(number) if number.is_integer() and abs(number) < EXACT else number
