"""Recipe: everything that decides what a training run does, in one YAML file.

Each section is the dataclass of the module that uses it; the keys are its fields, and what a file leaves out has the
default. `recipes/` in the repository holds some, each line explained.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from autollmresearch.dialogue import Style
from autollmresearch.errors import InvalidRecipe
from autollmresearch.policies.causal_lm import AgentSettings
from autollmresearch.training.curate import CurateSettings
from autollmresearch.training.distill import DistillSettings
from autollmresearch.training.fields import build
from autollmresearch.training.prior import PriorSettings
from autollmresearch.training.reinforce import ReinforceSettings
from autollmresearch.training.scratch import ModelSettings
from autollmresearch.training.simulate import SimulateSettings
from llmconfig_gym.description import read_yaml, require
from llmconfig_gym.errors import InvalidDescription


@dataclass(frozen=True)
class Recipe:
    """A training run.

    Attributes:
        seed: of everything that is drawn.
        model: what is trained: a model from scratch, or one that exists.
        agent: what it reads and how much it may write; kept in its checkpoints.
        prior, curate, simulate, distill, reinforce: the steps.
    """

    seed: int = 0
    model: ModelSettings = field(default_factory=ModelSettings)
    agent: AgentSettings = field(default_factory=AgentSettings)
    prior: PriorSettings = field(default_factory=PriorSettings)
    curate: CurateSettings = field(default_factory=CurateSettings)
    simulate: SimulateSettings = field(default_factory=SimulateSettings)
    distill: DistillSettings = field(default_factory=DistillSettings)
    reinforce: ReinforceSettings = field(default_factory=ReinforceSettings)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 1 << 32, "seed is at least 0 and below 2^32", self.seed)
        context, most, longest = self.agent.context, self.model.context, self.reinforce.episode_tokens
        if not self.model.path:
            require(context <= most, f"agent.context is at most model.context, {most}", context)
        require(longest >= context, f"reinforce.episode_tokens is at least agent.context, {context}", longest)

    @property
    def style(self) -> Style:
        """What its prompts show."""
        return self.agent.style


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file.

    Raises:
        InvalidRecipe: it cannot be read, or a key is unknown, or a value is of the wrong kind or out of range.
    """
    try:
        data = read_yaml(path, "a recipe", [f.name for f in fields(Recipe)])
        return build(Recipe, data)
    except InvalidDescription as problem:
        text = str(problem)
        raise InvalidRecipe(text if text.startswith(str(path)) else f"{path}: {text}") from None
