"""Direct prompting (Zhang, Desai, Bae, Lorraine, Ba 2023, "Using Large Language Models for Hyperparameter
Optimization", arXiv:2312.04528): the model is told the problem and all trials so far, and names the next one."""

from __future__ import annotations

from dataclasses import dataclass, field

from autollmresearch.baselines.llm.optimiser import Play
from autollmresearch.baselines.llm.words import given, paragraphs
from autollmresearch.dialogue import Style, form, situation, values
from autollmresearch.policy import State
from llmconfig_gym.tasks import describe_outcome, trials


@dataclass(frozen=True)
class Direct:
    """One question per trial. It is the paper's compressed prompt: one message with the whole history, made anew at
    each turn, where `endpoint:MODEL` is the growing conversation.

    What is ours: the words, and that the best cheaper runs are shown.
    """

    style: Style = field(default_factory=Style)

    def play(self, state: State) -> Play:
        """One turn."""
        (answer,) = yield [self.prompt(state)]
        return given(state, answer)

    def prompt(self, state: State) -> str:
        """What the model reads."""
        problem = state.problem
        past = [
            f"{i}. {values(o.config) + ': ' if o.config else ''}{describe_outcome(problem.metric, o)}"
            for i, o in enumerate(state.trials, start=1)
        ]
        left = trials(problem.budget - len(past))
        return paragraphs(
            [
                "You are helping to tune the settings of an expensive experiment.",
                situation(problem, self.style),
                "\n".join(["Trials so far:", *past]) if past else "",
                f"{left} left. Choose the configuration to try next, to find the best in as few trials as possible. "
                f"Say briefly why, then end with\n{form(problem)}\nDo not repeat a configuration.",
            ]
        )
