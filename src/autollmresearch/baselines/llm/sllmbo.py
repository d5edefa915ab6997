"""SLLMBO (Mahammadli and Ertekin 2024, "Sequential Large Language Model-Based Hyper-parameter Optimization",
arXiv:2410.20302): the LLM-TPE sampler, in which a language model and a tree-structured Parzen estimator take turns."""

from __future__ import annotations

from dataclasses import dataclass, field

from autollmresearch.baselines.llm.optimiser import Play
from autollmresearch.baselines.llm.words import better, given, paragraphs, refused, told
from autollmresearch.baselines.optuna_samplers import OptunaPolicy
from autollmresearch.dialogue import Style, form, situation
from autollmresearch.policy import State
from llmconfig_gym.tasks import trials

TPE = OptunaPolicy("tpe", startup=1)


@dataclass(frozen=True)
class Sllmbo:
    """The model initialises and exploits, TPE explores; both learn from all trials.

    The model makes the first trial from the description alone (the paper's zero-shot initialiser) and then every
    second one.

    What is ours: the search space stays as it is, where the paper lets the model redraw it; nothing stops early, for
    the runner counts the trials; the history is never summarised, for it is short; the best cheaper runs are shown.
    """

    style: Style = field(default_factory=Style)

    def play(self, state: State) -> Play:
        """One turn."""
        if len(state.trials) % 2:
            return TPE.propose([state])[0]
        (answer,) = yield [self.prompt(state)]
        return given(state, answer)

    def prompt(self, state: State) -> str:
        """What the model reads: the initialiser's question, or the optimiser's."""
        problem, past = state.problem, told(state)
        known = ["", ""]
        if past:
            best = min(past, key=lambda t: t.loss)
            known = [
                "\n".join(["Trials so far:", *(t.line for t in past)]),
                f"Best so far ({better(state)} is better): {best.line}",
            ]
        ask = "Decide whether to exploit what is good or to explore, and choose the next" if past else "Choose a first"
        left = trials(problem.budget - len(state.trials))
        return paragraphs(
            [
                "You optimise the settings of an expensive experiment together with a sampler.",
                situation(problem, self.style),
                *known,
                refused(state),
                f"{left} left. {ask} configuration. Say briefly why, then end with\n{form(problem)}",
            ]
        )
