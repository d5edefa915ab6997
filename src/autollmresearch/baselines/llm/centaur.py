"""Centaur (Ferreira et al. 2026, "Can LLMs Beat Classical Hyperparameter Optimization Algorithms? A Study on
autoresearch", arXiv:2603.24647): CMA-ES with a language model that sees its state and takes some of its trials."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from autollmresearch.baselines.llm.cma import Gaussian, replay
from autollmresearch.baselines.llm.optimiser import Play
from autollmresearch.baselines.llm.words import given, paragraphs, refused, told
from autollmresearch.dialogue import Style, form, situation, values
from autollmresearch.policy import Proposal, State, nearest_untried
from llmconfig_gym.parameter import Categorical, FloatArray, Simplex
from llmconfig_gym.space import Config, Space
from llmconfig_gym.text import number, value_text

TOP, LAST = 5, 20
"""The best trials and the latest ones that the model is shown (the paper's numbers)."""


@dataclass(frozen=True)
class Centaur:
    """CMA-ES proposes, and every so many trials the model does instead; CMA-ES learns from every trial.

    Attributes:
        style: what of the cheaper runs is shown.
        every: the model makes every so many-th trial; 3 is nearest to the paper's share of 30 %.

    As in the paper the model is shown the mean, the step size, the covariance, CMA-ES's own next proposal, the five
    best and the last twenty trials.

    What is ours: the model's turns are counted, not drawn, and there is no warm-up (the paper's is ten trials, more
    than our budgets); CMA-ES works in the space's encoding, where a choice is one coordinate per option and a mixture
    one per component; the covariance is shown as standard deviations and correlations; the best cheaper runs are shown
    to the model, while CMA-ES, like every sampler, knows the target's trials alone.
    """

    style: Style = field(default_factory=Style)
    every: int = 3

    def play(self, state: State) -> Play:
        """One turn."""
        rows, losses = state.told()
        space, pool = state.problem.space, state.problem.pool
        search = replay(pool.encoded[rows], losses, space.width)
        own = nearest_untried(state, np.clip(search.draw(state.rng()), 0.0, 1.0))
        if (len(state.trials) + 1) % self.every:
            return Proposal(own, f"CMA-ES, step size {number(search.step)}")
        (answer,) = yield [self.prompt(state, search, own)]
        return given(state, answer)

    def prompt(self, state: State, search: Gaussian, own: Config) -> str:
        """What the model reads."""
        past, space = told(state), state.problem.space
        best = sorted(past, key=lambda t: t.loss)[:TOP]
        latest = past[-LAST:]
        return paragraphs(
            [
                "CMA-ES and you optimise the settings of an expensive experiment together; it learns from your trials.",
                situation(state.problem, self.style),
                "\n".join(["Best trials:", *(t.line for t in best)]) if best else "",
                "\n".join(["Latest trials, in order:", *(t.line for t in latest)]) if latest else "",
                "\n".join(
                    [
                        "State of CMA-ES, with every setting scaled to 0 .. 1:",
                        f"mean: {values(space.decode(np.clip(search.mean, 0.0, 1.0)))}",
                        f"step size: {number(search.step)}",
                        f"standard deviations: {_deviations(space, search)}",
                        *_correlations(space, search),
                        f"its next proposal: {values(own)}",
                    ]
                ),
                refused(state),
                "It is your turn. Use what CMA-ES knows and what you know of such experiments; you may take its "
                f"proposal or another configuration. End with\n{form(state.problem)}",
            ]
        )


def coordinates(space: Space) -> list[str]:
    """Names of the encoded coordinates, in order."""
    names: list[str] = []
    for p in space.parameters:
        if isinstance(p, Categorical):
            names += [f"{p.name}={value_text(c)}" for c in p.choices]
        elif isinstance(p, Simplex):
            names += [f"{p.name}.{c}" for c in p.components]
        else:
            names.append(p.name)
    return names


def _deviations(space: Space, search: Gaussian) -> str:
    return ", ".join(f"{n} {number(d)}" for n, d in zip(coordinates(space), search.deviations, strict=True))


def _correlations(space: Space, search: Gaussian) -> list[str]:
    """The strongest correlations, at most as many as there are coordinates; none before the first generation."""
    scale = np.sqrt(np.diag(search.covariance))
    matrix: FloatArray = search.covariance / np.outer(scale, scale)
    above = np.array(np.triu_indices(len(scale), 1)).T
    strength = np.array([abs(matrix[i, j]) for i, j in above])
    names = coordinates(space)
    order = [above[k] for k in np.argsort(-strength, kind="stable")[: len(names)] if strength[k] >= 0.05]
    pairs = ", ".join(f"{names[i]} and {names[j]} {number(float(matrix[i, j]), 2)}" for i, j in order)
    return [f"correlations: {pairs}"] if pairs else []
