"""What the GRPO sweep measures: the configuration space, the fraction of it that is run, and the experiments.

An experiment is a family of problems, a model size and a number of sampled answers. That number is the same for every
configuration, so that all runs of an experiment cost the same: more prompts per step mean fewer steps.

Learning rate x prompts per step x KL coefficient x clip range would be 560 configurations. A regular fraction is
measured, one in five, in which every value of a parameter meets every value of each other one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.problems import family
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.experiment import Level
from llmconfig_gym.parameter import Grid
from llmconfig_gym.space import Space

# One grid for all experiments, so that a configuration of one is legal in every other.
LEARNING_RATES = tuple(2.5e-4 * 2**power for power in range(7))  # to 1.6e-2
PROMPTS_PER_STEP = (4, 8, 16, 32, 64)
KL_COEFFICIENTS = (0.001, 0.01, 0.1, 1.0)
CLIP_RANGES = (0.0125, 0.05, 0.2, 0.8)
FRACTION = 5

SPACE = Space(
    (
        Grid(
            "lr",
            LEARNING_RATES,
            log=True,
            about="learning rate of the policy, reached after a short warm-up and falling to zero over the run",
        ),
        Grid(
            "prompts_per_step",
            PROMPTS_PER_STEP,
            log=True,
            about="number of different prompts whose answers contribute to one policy step; the number of sampled "
            "answers of a run is fixed, so more prompts per step mean fewer steps",
        ),
        Grid("kl_coefficient", KL_COEFFICIENTS, log=True),
        Grid(
            "clip_range",
            CLIP_RANGES,
            log=True,
            about="how far a token's probability ratio to the policy that sampled it may move, up or down, before its "
            "gradient is cut; each batch of answers is used for four updates",
        ),
    )
)


@dataclass(frozen=True)
class GRPOSetting:
    """One experiment.

    Attributes:
        level: its place in the suite's split.
        family: of problems.
        width: of the decoder of two layers.
        answers: sampled in a run.
        centre: learning rate near which half of the replicates are.
    """

    level: Level
    family: str
    width: int
    answers: int
    centre: float
    layers: int = 2
    heads: int = 2
    group_size: int = 8
    inner_updates: int = 4
    prompts: int = 512  # different training prompts
    held_out: int = 1024
    base_accuracy: float = 0.3

    @property
    def shape(self) -> DecoderShape:
        """The decoder, with a context that holds a prompt and an answer that is one token too long."""
        context = family(self.family).prompt_length + self.answer_tokens
        return DecoderShape(self.layers, self.width, self.heads, 4, context, corpus.VOCABULARY)

    @property
    def answer_tokens(self) -> int:
        """The most tokens an answer may have: one more than the longest correct one with its end."""
        return family(self.family).answer_length + 1

    @property
    def name(self) -> str:
        """For example `grpo-sorting-n6144-a2048`."""
        return f"grpo-{self.family}-n{self.shape.parameters}-a{self.answers}"

    @property
    def flops(self) -> float:
        """Compute of one run, counting every answer at its full length.

        Per token, a forward pass to sample, one of the reference, and a forward and backward pass for each inner
        update; forward and backward as in `DecoderShape.flops_per_token`, forward a third of it.
        """
        return self.answers * self.shape.context * self.shape.flops_per_token * (self.inner_updates + 2 / 3)

    def seconds(self, prompts_per_step: int, replicas: int) -> float:
        """About what a stack of replicas takes on a core of its own: a part per step, a part per run."""
        return 0.03 * self.steps(prompts_per_step) + replicas * (0.15 + self.flops / 2.5e10)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GRPOSetting:
        """The setting that `dataclasses.asdict` took apart, maybe by way of JSON. Raises TypeError."""
        return cls(**data)

    def steps(self, prompts_per_step: int) -> int:
        """How many steps the answers last."""
        return max(1, self.answers // (prompts_per_step * self.group_size))


def _addition(level: Level, width: int, answers: int) -> GRPOSetting:
    return GRPOSetting(level, "addition", width, answers, centre=1e-3)


def _sorting(level: Level, width: int, answers: int) -> GRPOSetting:
    return GRPOSetting(level, "sorting", width, answers, centre=2e-3)


# The embedded suite, cheapest level first. The largest model learns addition slowly: half as many answers left the
# best settings inside the noise.
MICRO: tuple[GRPOSetting, ...] = (
    _addition("low", 16, 2048),
    _sorting("low", 16, 2048),
    _addition("medium", 24, 3072),
    _sorting("medium", 24, 3072),
    _addition("high", 32, 8192),
    _sorting("high", 32, 4096),
)


def configurations() -> list[dict[str, float]]:
    """The measured fraction of the grid, in the order of the grid."""
    levels = [p.levels for p in SPACE.parameters if isinstance(p, Grid)]
    cells = itertools.product(*(range(len(axis)) for axis in levels))
    chosen = [cell for cell in cells if sum(w * i for w, i in zip((1, 3, 1, 2), cell, strict=True)) % FRACTION == 0]
    return [dict(zip(SPACE.names, (a[i] for a, i in zip(levels, cell, strict=True)), strict=True)) for cell in chosen]
