"""OPRO (Yang et al., ICLR 2024, "Large Language Models as Optimizers", arXiv:2309.03409): the model reads earlier
solutions sorted from the worst to the best, with their scores, and is asked for one that beats them all."""

from __future__ import annotations

from dataclasses import dataclass, field

from autollmresearch.baselines.llm.optimiser import Play
from autollmresearch.baselines.llm.words import better, given, paragraphs, refused, told
from autollmresearch.dialogue import Style, form, situation
from autollmresearch.policy import State

PAIRS = 20
"""Solutions shown at most, the best ones (the paper's number)."""


@dataclass(frozen=True)
class Opro:
    """One solution per step.

    What is ours: the paper scores eight solutions per step before the prompt changes, which at budgets of five or ten
    trials would be a step or none; and it starts from random solutions where here the model starts from the best
    cheaper runs that it is shown.
    """

    style: Style = field(default_factory=Style)

    def play(self, state: State) -> Play:
        """One turn."""
        (answer,) = yield [self.prompt(state)]
        return given(state, answer)

    def prompt(self, state: State) -> str:
        """The meta-prompt."""
        name = state.problem.metric.name
        pairs = sorted(told(state), key=lambda t: t.loss, reverse=True)[-PAIRS:]
        shown = f"Configurations tried on the target and their {name}, sorted so that the best stands last:"
        wanted = f" that is different from all above and whose {name} is {better(state)} than any of theirs"
        return paragraphs(
            [
                situation(state.problem, self.style),
                "\n".join([shown, *(t.line for t in pairs)]) if pairs else "",
                refused(state),
                f"Write a new configuration{wanted if pairs else ' for the target'}, as\n{form(state.problem)}",
            ]
        )
