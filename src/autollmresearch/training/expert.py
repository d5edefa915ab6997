"""The expert: knows a drawn landscape, plays its episodes, and says why; what a model learns from first.

At every turn it takes the best configuration not tried yet, up to a little randomness that shrinks as trials come in:
whoever learns from many such episodes learns what is likely to be the best given what was read, and its most likely
answer is the middle of that. Some turns are stumbles, which are shown but not learned from, so that the next turn
teaches to recover. Some episodes carry hints, so that the model learns to follow one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autollmresearch.dialogue import Messages, Style, action, conversation, values
from autollmresearch.policy import Proposal, State
from autollmresearch.thoughts import thought
from autollmresearch.training.landscapes import Landscape
from llmconfig_gym.description import require
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.space import Config


@dataclass(frozen=True)
class ExpertSettings:
    """How the expert plays.

    Attributes:
        jitter: regret, over that of the median configuration, that it tolerates at its first trial.
        shrink: factor of the jitter from one trial to the next.
        stumble: share of turns that are stumbles; half of them anywhere, half among the better ones. The last is none.
        hints: share of episodes in which a hint names the best configuration from some turn on.
    """

    jitter: float = 0.05
    shrink: float = 0.6
    stumble: float = 0.3
    hints: float = 0.05

    def __post_init__(self) -> None:
        require(self.jitter >= 0, "jitter is at least 0", self.jitter)
        for name in ("shrink", "stumble", "hints"):
            require(0 <= getattr(self, name) <= 1, f"{name} is in [0, 1]", getattr(self, name))


def hint(config: Config) -> str:
    """The sentence that names a configuration to go for."""
    return f"Hint: the best is {values(config)}."


def play(
    landscape: Landscape, style: Style, settings: ExpertSettings, rng: np.random.Generator
) -> tuple[Messages, list[bool]]:
    """An episode as a conversation that ends with the last answer, and for each answer whether it is learned from."""
    problem, experiment = landscape.problem, landscape.experiment
    regret = landscape.true - landscape.true.min()
    regret = regret / (float(np.median(regret)) or 1.0)
    untried = np.ones(len(regret), dtype=bool)
    best = int(np.argmin(experiment.losses))
    hinted = int(rng.integers(problem.budget)) if rng.random() < settings.hints else problem.budget
    state = State(problem)
    messages: Messages = []
    learned: list[bool] = []
    for turn in range(problem.budget):
        told = turn >= hinted and bool(untried[best])
        shown = replace(state, hint=hint(problem.pool.config(best)) if told else "")
        read = conversation(shown, style)[-1]["content"]
        messages.append({"role": "user", "content": read})
        stumbles = turn + 1 < problem.budget and rng.random() < settings.stumble
        if told and not stumbles:
            row = best
        else:
            heat = (np.inf if rng.random() < 0.5 else 1.0) if stumbles else settings.jitter * settings.shrink**turn
            row = _drawn(regret, np.flatnonzero(untried), heat, rng)
        untried[row] = False
        config = problem.pool.config(row)
        said = Proposal(action(config, thought(state, config, style)), prompt=read)
        messages.append({"role": "assistant", "content": str(said.config)})
        learned.append(not stumbles)
        state = State(problem, (*state.trials, experiment.outcome(row)), proposals=(*state.proposals, said))
    return messages, learned


def _drawn(regret: FloatArray, rows: NDArray[np.int64], heat: float, rng: np.random.Generator) -> int:
    """One of these rows, with probability in proportion to exp(-regret / heat)."""
    if heat <= 0:
        return int(rows[np.argmin(regret[rows])])
    logits = -(regret[rows] - regret[rows].min()) / heat
    return int(rows[np.argmax(logits + rng.gumbel(size=len(rows)))])
