"""Fidelity as users write it: `{"N": "7B", "tokens": 2e10}` -> a `Fidelity` with a cost."""

from __future__ import annotations

import math
from collections.abc import Mapping

from autollmresearch.errors import InvalidFidelity
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.importing.names import is_size, is_tokens
from llmconfig_gym.importing.units import try_quantity
from llmconfig_gym.parameter import EXACT, shown


def fidelity_of(values: Mapping[str, float | int | str] | Fidelity) -> Fidelity:
    """The fidelity that these values name.

    Args:
        values: what was scaled. Text that writes a quantity (`7B`, `1.4T`, `512k`) is one.

    The cost of a size and a number of tokens is 6 N D FLOPs (Kaplan et al. 2020, section 2.1); of other positive
    numbers, their product.

    Raises:
        InvalidFidelity: not a mapping from names to numbers or words, or a number that is not finite.
    """
    if isinstance(values, Fidelity):
        return values
    if not isinstance(values, Mapping):
        raise InvalidFidelity(
            f'a fidelity maps names to numbers, as {{"N": 7e9, "tokens": 2e10}} does; found {shown(values)}'
        )
    read: dict[str, float | str] = {str(k): _value(str(k), v) for k, v in values.items()}
    numbers = {k: v for k, v in read.items() if not isinstance(v, str) and v > 0}
    sizes, tokens = ([v for k, v in numbers.items() if is_kind(k)] for is_kind in (is_size, is_tokens))
    if len(sizes) == 1 and len(tokens) == 1:
        return Fidelity(read, 6.0 * sizes[0] * tokens[0])
    return Fidelity(read, float(math.prod(numbers.values())), "relative cost")


def _value(name: str, value: object) -> float | str:
    if isinstance(value, str):
        quantity = try_quantity(value)
        if quantity is None:
            return value
        value = quantity
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidFidelity(f"the fidelity's {name} must be a finite number or a word, found {shown(value)}")
    return int(value) if float(value).is_integer() and abs(value) < EXACT else float(value)
