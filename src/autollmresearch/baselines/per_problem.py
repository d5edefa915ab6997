"""Per problem: what depends on a problem alone is computed once for it, and let go with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from autollmresearch.evidence.records import Problem

T = TypeVar("T")


def per_problem(compute: Callable[[Problem], T]) -> Callable[[Problem], T]:
    """The same function, remembered: a cache that cannot be seen (decision 0003).

    What it gives must not hold the problem itself, which would then never be let go.
    """
    known: WeakKeyDictionary[Problem, T] = WeakKeyDictionary()

    @wraps(compute)
    def remembered(problem: Problem) -> T:
        if problem not in known:
            known[problem] = compute(problem)
        return known[problem]

    return remembered
