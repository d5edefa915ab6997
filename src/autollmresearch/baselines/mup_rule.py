"""The muP rule: copy the best cheap run with its learning rate scaled by the width ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autollmresearch.baselines.copy import ranked
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.ordered import fidelity_role, role
from autollmresearch.policy import Proposal, State
from llmconfig_gym.experiment import Fidelity

WIDTHS = ("width", "d_model", "hidden_size", "embed_dim", "n_embd")
"""What a fidelity may call the width of a model."""


@dataclass(frozen=True)
class MupRulePolicy:
    """`copy`, with the learning rate of every copied run times (its width / the target's width).

    What many practitioners do: under the maximal update parametrisation the best learning rate of Adam's hidden
    matrices falls as 1 / width (Yang et al. 2022, "Tensor Programs V", table 3). Width is what the fidelity calls so;
    where it only counts parameters, width is taken to grow as their square root. Where there is no learning rate, or
    neither number is known, it is `copy` and its reasons say so.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        problem, untried = state.problem, set(state.untried().tolist())
        lr = next((p.name for p in problem.space.parameters if role(p) == "lr"), None)
        for rank, (runs, row) in enumerate(ranked(problem), start=1):
            config = problem.space.translate(runs.pool.config(row), runs.space)
            ratio = _width_ratio(runs.fidelity, problem.fidelity)
            if lr is None:
                note = "copied: there is no learning rate to scale"
            elif ratio is None:
                note = "copied: no width and no number of parameters is known"
            else:
                config[lr] = float(config[lr]) / ratio  # type: ignore[arg-type]  # a learning rate is a number
                note = f"learning rate divided by {ratio:.3g}, how much wider the target is"
            here = problem.pool.find(config)[0]
            if here in untried:
                return Proposal(problem.pool.config(here), f"rank {rank} among runs at {runs.fidelity.text()}; {note}")
        return RandomPolicy().propose([state])[0]


def _width_ratio(cheap: Fidelity, target: Fidelity) -> float | None:
    """How much wider the target is; None if it cannot be told."""
    widths = [(name, 1.0) for name in target.values if name.lower() in WIDTHS]
    sizes = [(name, 0.5) for name in target.values if fidelity_role(name) == "parameters"]
    for name, power in (*widths, *sizes):
        a, b = cheap.values.get(name), target.values[name]
        if isinstance(a, int | float) and isinstance(b, int | float) and a > 0 and b > 0:
            return math.pow(b / a, power)
    return None
