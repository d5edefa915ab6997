"""Language models that are functions: what they read is kept, what they answer is scripted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from autollmresearch.dialogue import reasoning
from autollmresearch.policy import Proposal, Usage
from llmconfig_gym.experiment import Experiment

Answer = Callable[[str, int], str]
PAIR = re.compile(r"^(?:\d+\. )?x (\d+): (?:score )?([-+.\de]+?)\.?(?: |$)", re.MULTILINE)


@dataclass
class Model:
    """Answers a prompt and a seed by a function; reads 100 tokens and writes 10 for 0.5 each time."""

    answer: Answer
    prompts: list[str] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)

    def ask(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Proposal]:
        self.prompts += prompts
        self.rounds.append(len(prompts))
        texts = [self.answer(p, s) for p, s in zip(prompts, seeds, strict=True)]
        return [
            Proposal(t, reasoning(t), prompt=p, usage=Usage(100, 10, 0.5)) for p, t in zip(prompts, texts, strict=True)
        ]

    def identity(self) -> dict[str, str]:
        return {"model": "scripted"}


def _fits(prompt: str, seed: int) -> str:
    """A good optimiser of one setting `x` in 1 .. 40: it fits a parabola to all pairs that it reads."""
    pairs = PAIR.findall(prompt)
    x, y = (np.array([float(pair[i]) for pair in pairs]) for i in (0, 1))
    law = np.polyfit(x, y, 2) if len(set(x)) >= 3 else None
    if "<value>" in prompt:
        asked = int(re.findall(r"x (\d+)$", prompt, re.MULTILINE)[-1])
        return f"<value>{np.polyval(law, asked) if law is not None else 0.0}</value>"
    best = 1 + seed % 40 if law is None else round(float(np.clip(-law[1] / (2 * law[0]), 1, 40)))
    return f'So it is.\n<config>{{"x": {best}}}</config>'


@pytest.fixture
def model() -> Callable[[Answer], Model]:
    """A scripted language model: `model(answer)`."""
    return Model


@pytest.fixture
def fits() -> Answer:
    """How a good one answers."""
    return _fits


@pytest.fixture
def fitter(fits: Answer) -> Model:
    """A good one."""
    return Model(fits)


@pytest.fixture
def bowl(line: Callable[..., Experiment]) -> Callable[..., Experiment]:
    """A parabola over 40 values with its optimum at 31: `bowl(direction)`."""

    def make(direction: str = "minimize") -> Experiment:
        values = np.square(np.arange(1, 41) - 31.0) * (1 if direction == "minimize" else -1)
        return line((values + 7.0).tolist(), direction)

    return make
