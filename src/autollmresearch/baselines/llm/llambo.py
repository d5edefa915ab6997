"""LLAMBO (Liu, Astorga, Seedat, van der Schaar, ICLR 2024, "Large Language Models to Enhance Bayesian Optimization",
arXiv:2402.03921): Bayesian optimisation whose first points, candidates and surrogate all are a language model's."""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from dataclasses import dataclass, field, replace

import numpy as np

from autollmresearch.baselines.llm.optimiser import Play
from autollmresearch.baselines.llm.words import better, given, legal, paragraphs, refused, told, value_of
from autollmresearch.baselines.pooling import clip_losses
from autollmresearch.dialogue import CLOSE, Style, form, situation, values
from autollmresearch.policy import Proposal, State
from llmconfig_gym.space import Config

ROUNDS = 3
"""How often candidates are asked for until one is legal."""

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_VALUE = re.compile(rf"<value>\s*({_NUMBER})", re.ASCII)
_ALONE = re.compile(rf"\s*({_NUMBER})\s*", re.ASCII)


@dataclass(frozen=True)
class Llambo:
    """Zero-shot warm start, then the candidate of greatest expected improvement under sampled predictions.

    Attributes:
        style: what of the cheaper runs is shown.
        startup: first trials, which the model chooses before any outcome is shown to it.
        candidates: how many configurations are sampled, each conditioned on the target value
            s' = s_best - alpha (s_worst - s_best) over the trials so far (smaller is better; diverged runs are
            clipped as on the regret scale, or one of them would put it out of reach).
        samples: predictions per candidate; their mean and standard deviation are the surrogate's.
        alpha: how far beyond the best the target value lies.

    Each sample and each prediction reads the trials in another random order, as in the paper. Candidates and
    predictions are the published implementation's numbers (10 and 10); a turn asks candidates x (1 + samples) times.

    What is ours: three starting points instead of five, as for the samplers at such budgets; they are asked for one
    by one; the surrogate is the discriminative one without recalibration; the best cheaper runs are shown; where no
    candidate is legal in three rounds, the first answer goes to the environment as it is.
    """

    style: Style = field(default_factory=Style)
    startup: int = 3
    candidates: int = 10
    samples: int = 10
    alpha: float = 0.1

    def play(self, state: State) -> Play:
        """One turn."""
        if len(told(state)) < self.startup:
            (answer,) = yield [self.start_prompt(state)]
            return given(state, answer)
        rng = state.rng()
        found: dict[str, Proposal] = {}
        for _ in range(ROUNDS):
            answers = yield [self.candidate_prompt(state, rng) for _ in range(self.candidates)]
            for answer in answers:
                if (config := legal(state, answer)) is not None:
                    proposal = Proposal(config, answer.reasoning, prompt=answer.prompt)
                    found.setdefault(values(config), proposal)
            if found:
                return (yield from self._choose(state, list(found.values()), rng))
        return given(state, answers[0])

    def _choose(
        self, state: State, found: list[Proposal], rng: np.random.Generator
    ) -> Generator[list[str], list[Proposal], Proposal]:
        """The candidate of greatest expected improvement; the first one if none can be predicted."""
        asked = [self.surrogate_prompt(state, p.config, rng) for p in found for _ in range(self.samples)]  # type: ignore[arg-type]
        read = np.array([predicted(answer) for answer in (yield asked)]).reshape(len(found), self.samples)
        best, sign = min(t.loss for t in told(state)), state.problem.metric.sign
        chosen: tuple[float, Proposal] | None = None
        for proposal, row in zip(found, read, strict=True):
            if len(known := row[np.isfinite(row)]):
                mean, sd = float(known.mean()), float(known.std())
                gain = expected_improvement(best, sign * mean, sd)
                if chosen is None or gain > chosen[0]:
                    chosen = gain, replace(proposal, mean=mean, sd=sd)
        return found[0] if chosen is None else chosen[1]

    def start_prompt(self, state: State) -> str:
        """Asks for a starting point; outcomes are not in it."""
        chosen = [values(t.config) for t in told(state)]
        return paragraphs(
            [
                situation(state.problem, self.style),
                "\n".join(["Starting points chosen already:", *chosen]) if chosen else "",
                refused(state),
                f"Before anything is known of the target, recommend starting point {len(chosen) + 1} of {self.startup} "
                f"for its optimisation, different from those chosen already. End with\n{form(state.problem)}",
            ]
        )

    def candidate_prompt(self, state: State, rng: np.random.Generator) -> str:
        """Asks for a configuration whose outcome would be the target value."""
        losses = clip_losses(np.array([t.loss for t in told(state)]), state.problem.clip)
        best, worst = float(losses.min()), float(losses.max())
        wanted = value_of(state, best - self.alpha * (worst - best))
        name = state.problem.metric.name
        return paragraphs(
            [
                situation(state.problem, self.style),
                self._examples(state, rng),
                refused(state),
                f"Recommend a configuration for the target that can reach the {name} {wanted} ({better(state)} is "
                f"better), different from those above. End with\n{form(state.problem)}",
            ]
        )

    def surrogate_prompt(self, state: State, config: Config, rng: np.random.Generator) -> str:
        """Asks for the outcome of a configuration."""
        return paragraphs(
            [
                situation(state.problem, self.style),
                self._examples(state, rng),
                f"Predict the {state.problem.metric.name} of the target for this configuration:\n{values(config)}\n"
                "Answer with one number, as <value>...</value>",
            ]
        )

    def _examples(self, state: State, rng: np.random.Generator) -> str:
        """The trials in a random order."""
        lines = [t.line for t in told(state)]
        order = rng.permutation(len(lines))
        return "\n".join([f"{state.problem.metric.name} on the target:", *(lines[i] for i in order)])


def predicted(answer: Proposal) -> float:
    """The number that an answer predicts, in the tag or alone after the thoughts; NaN if it names none."""
    said = str(answer.config).rpartition(CLOSE)[2]
    found = _VALUE.search(said) or _ALONE.fullmatch(said)
    return float(found[1]) if found else math.nan


def expected_improvement(best: float, mean: float, sd: float) -> float:
    """E[max(best - loss, 0)] for a normal loss (Jones et al. 1998, equation 15); where it is certain, the difference
    itself, so that certain candidates that are no better are still in order."""
    if sd <= 0:
        return best - mean
    z = (best - mean) / sd
    density, below = math.exp(-z * z / 2) / math.sqrt(2 * math.pi), (1 + math.erf(z / math.sqrt(2))) / 2
    return (best - mean) * below + sd * density
