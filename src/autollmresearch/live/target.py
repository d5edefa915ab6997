"""The target: at which scale the expensive run will be made, and how far that is from what is known.

`N=7e9,tokens=20B` names what is scaled as the file of cheaper runs does, or by another common name of the same thing
(`N`, `params` and `model_size` are one; so are `tokens` and `D`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autollmresearch.errors import InvalidTarget
from llmconfig_gym.description import as_quantity
from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.importing.columns import Column
from llmconfig_gym.importing.names import is_size, is_steps, is_tokens
from llmconfig_gym.importing.roles import find_column
from llmconfig_gym.importing.units import parse_quantity
from llmconfig_gym.plain import is_number
from llmconfig_gym.text import number

Scale = Mapping[str, float | str]
"""What is scaled, in numbers or words: the values of a `Fidelity`."""

_BEYOND = 1.005
"""Ratio above which a target lies outside the evidence: three written digits."""


def parse_target(text: str) -> dict[str, float | str]:
    """What `--target N=7e9,tokens=2e10` says; quantities may be written 7B, 20e9, 1.4T, 350M.

    Raises:
        InvalidTarget: it says nothing of the kind.
    """
    values: dict[str, float | str] = {}
    for part in text.split(","):
        name, mark, value = (p.strip() for p in part.partition("="))
        if not mark or not name or not value or name in values:
            raise InvalidTarget(f"--target {text}: expected distinct names with values, such as N=7e9,tokens=2e10")
        values[name] = check_scale(name, value)
    return values


def check_scale(name: str, value: object) -> float | str:
    """One value of a scale: a positive number, or a word.

    Raises:
        InvalidTarget: it looks like a number but is none, or is not positive.
    """
    read = as_quantity(value)
    if isinstance(read, str) and read[:1] in "0123456789.+-":
        try:
            parse_quantity(read)
        except ImportProblem as problem:
            raise InvalidTarget(f"target {name}: {problem}") from None
        raise InvalidTarget(f"target {name}: {read} is too large to be meant")
    if is_number(read) and isinstance(read, int | float) and read > 0:
        return read
    if isinstance(read, str) and read:
        return read
    raise InvalidTarget(f"target {name}: expected a positive number such as 7e9 or 7B, found {value!r}")


def target_columns(target: Scale, columns: Mapping[str, Column], where: str) -> dict[str, str]:
    """For each key of the target the column of the file that it means.

    Raises:
        InvalidTarget: there is none; the message names what the file has.
    """
    found: dict[str, str] = {}
    for key, value in target.items():
        column = _column_of(key, columns, where)
        if column in found.values():
            raise InvalidTarget(f"target {key}: {column} is named twice")
        if not isinstance(value, str) and columns[column].kind == "text":
            raise InvalidTarget(
                f"target {key}={number(value)}: {column} of {where} holds {columns[column].text()}; "
                "expected numbers there such as 7e9, 7B or 1.4T"
            )
        if isinstance(value, str) and columns[column].kind == "number":
            raise InvalidTarget(f"target {key}={value}: expected a number, as {where} has ({columns[column].text()})")
        found[key] = column
    return found


def _column_of(key: str, columns: Mapping[str, Column], where: str) -> str:
    for kind in (is_size, is_tokens, is_steps):
        alike = [c.name for c in columns.values() if kind(c.short)]
        if key not in columns and kind(key) and len(alike) == 1:
            return alike[0]
    try:
        return find_column(columns, "target", key)
    except ImportProblem as problem:
        listed = ", ".join(c.short for c in list(columns.values())[:12])
        reason = str(problem).removeprefix("--target: ").partition("; known")[0]
        raise InvalidTarget(f"target: {reason}; {where} has {listed}") from None


def extrapolation(target: Scale, known: Sequence[Fidelity], where: str) -> list[str]:
    """What to say about a target beyond the runs that are known: by how much."""
    notes = []
    for key, value in target.items():
        values = [v for f in known if isinstance(v := f.values.get(key), int | float)]
        if isinstance(value, str):
            if all(f.values.get(key) != value for f in known):
                notes.append(f"no run of {where} has {key} {value}: nothing is known of how it differs")
        elif values and value > _BEYOND * max(values):
            notes.append(_far(key, value, value / max(values), "beyond the largest", max(values)))
        elif values and value < min(values) / _BEYOND:
            notes.append(_far(key, value, min(values) / value, "below the smallest", min(values)))
    return notes


def _far(key: str, value: float, ratio: float, where: str, known: float) -> str:
    factor = f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}"
    return f"extrapolating: {key} {number(value)} is {factor}x {where} run, {number(known)}"
