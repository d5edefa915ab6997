"""Numbers as text, written one way everywhere an agent or a person reads them.

Settings and fidelities carry three significant digits, measured values five: a learning rate is
chosen on a coarse lattice, but losses of good configurations differ in the fourth digit.
"""

from __future__ import annotations

import math


def number(value: float, digits: int = 3) -> str:
    """`value` with at most `digits` significant digits, as a person writes it.

    Whole numbers below 100,000 keep all their digits; sizes outside [1e-2, 1e5) use a short exponent:
    0.00138 -> `1.38e-3`, 2e10 -> `2.0e10`, 256 -> `256`, 2.2255 (digits=5) -> `2.2255`.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if abs(value) < 1e5 and float(value).is_integer():
        return str(int(value))
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -2 <= power < 5:
        text = f"{float(f'{mantissa}e{power}'):.{max(digits - 1 - power, 0)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa = mantissa.rstrip("0")
    if mantissa.endswith("."):
        mantissa += "0"
    return f"{mantissa}e{power}"


def value_text(value: object, digits: int = 3) -> str:
    """Any configuration value as text: numbers by `number`, mixtures as `{a: 0.3, b: 0.7}`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return number(value, digits)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {number(v, digits)}" for k, v in value.items()) + "}"
    return str(value)
