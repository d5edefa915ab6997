"""Published laws: learning rate and batch size from a paper's formula, whatever the cheap runs say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autollmresearch.errors import NotApplicable
from autollmresearch.evidence.ordered import fidelity_role, role, tokens_per_unit, training_flops
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State, nearest_untried
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.parameter import FloatArray


def _step_law(n: float, d: float) -> tuple[float, float]:
    return 1.79 * n**-0.713 * d**0.307, 0.58 * d**0.571


def _deepseek(n: float, d: float) -> tuple[float, float]:
    compute = 6 * n * d
    return 0.3118 * compute**-0.1250, 0.2920 * compute**0.3271


LAWS: dict[str, tuple[str, Callable[[float, float], tuple[float, float]]]] = {
    "step-law": ("Step Law (Li et al. 2025)", _step_law),
    "deepseek": ("DeepSeek LLM (DeepSeek-AI 2024)", _deepseek),
}
"""What a law is called, and learning rate and tokens per batch from N parameters and D tokens."""


@dataclass(frozen=True)
class PublishedLawPolicy:
    """The learning rate and the batch size of a published law for N and D, then what lies nearest around them.

    - `step-law`: lr = 1.79 N^-0.713 D^0.307, batch = 0.58 D^0.571 tokens (Li et al. 2025, arXiv 2503.04715, N
      without embeddings). It was fitted on the very runs of the suite `steplaw`: contaminated there.
    - `deepseek`: lr = 0.3118 C^-0.1250, batch = 0.2920 C^0.3271 tokens (DeepSeek-AI 2024, arXiv 2401.02954,
      equation 1), with C = 6ND in place of its own count of FLOPs.

    Raises:
        NotApplicable: the space is anything but a learning rate and a batch size in known tokens, or N or D is unknown.
    """

    law: str

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        name, point = LAWS[self.law][0], _point(state.problem, LAWS[self.law][1])
        return Proposal(nearest_untried(state, point), f"nearest to what {name} says")


def _point(problem: Problem, law: Callable[[float, float], tuple[float, float]]) -> FloatArray:
    """[2] what the law says, in the target's coordinates, within the ranges."""
    roles = {role(p): p for p in problem.space.parameters}
    if set(roles) != {"lr", "batch"} or len(problem.space.parameters) != 2:
        names = ", ".join(problem.space.names)
        raise NotApplicable(f"the law says a learning rate and a batch size; this space has {names}")
    unit = tokens_per_unit(roles["batch"])
    if unit is None:
        raise NotApplicable(
            f"the law counts a batch in tokens; how many one unit of {roles['batch'].name} is, is unknown"
        )
    n, d = _number(problem.fidelity, "parameters"), _number(problem.fidelity, "tokens")
    if n is None or d is None or training_flops(problem.fidelity) != 6.0 * n * d:  # steps, say, are no tokens
        raise NotApplicable(
            f"the law needs parameters and tokens; this fidelity has {', '.join(problem.fidelity.values) or 'neither'}"
        )
    rate, tokens = law(n, d)
    config = {roles["lr"].name: rate, roles["batch"].name: tokens / unit}
    return problem.space.encode(config).clip(0.0, 1.0)


def _number(fidelity: Fidelity, kind: str) -> float | None:
    """The fidelity's positive number of this role (see `fidelity_role`); None if it has none."""
    found = (v for k, v in fidelity.values.items() if fidelity_role(k) == kind and isinstance(v, int | float) and v > 0)
    return next(map(float, found), None)
