"""A fidelity as users write it."""

import math
from typing import Any

import pytest

from autollmresearch.errors import InvalidFidelity
from autollmresearch.live.fidelity import fidelity_of
from llmconfig_gym.experiment import Fidelity


def test_quantities_are_read_and_a_size_with_tokens_costs_six_n_d() -> None:
    fidelity = fidelity_of({"N": "7B", "tokens": 1.4e12, "schedule": "cosine"})
    assert fidelity.values == {"N": 7e9, "tokens": 1.4e12, "schedule": "cosine"}
    assert fidelity.cost == pytest.approx(6 * 7e9 * 1.4e12)
    assert fidelity.unit == "FLOPs"


def test_other_numbers_cost_their_product() -> None:
    fidelity = fidelity_of({"steps": 100, "width": 256})
    assert (fidelity.cost, fidelity.unit) == (25600.0, "relative cost")
    assert fidelity_of({}).cost == 1.0


def test_a_fidelity_stays_itself() -> None:
    fidelity = Fidelity({"N": 1.0}, 3.0)
    assert fidelity_of(fidelity) is fidelity


@pytest.mark.parametrize("wrong", [7e9, ["N"], {"N": None}, {"N": True}, {"N": math.nan}, {"N": math.inf}, {"N": [1]}])
def test_anything_else_is_refused_in_one_line(wrong: Any) -> None:
    with pytest.raises(InvalidFidelity) as problem:
        fidelity_of(wrong)
    assert "\n" not in str(problem.value)
