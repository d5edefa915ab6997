"""Rollouts: what GRPO learns from, made by our own episodes inside TRL's trainer.

`Rollouts` is TRL's `rollout_func`: it plays one episode per prompt with the trainer's own model (no copy; eval mode,
so no dropout) and returns each trajectory as prompt, completion and a mask of the agent's own tokens, the ids being the
very ones that were sampled. A prompt is only the number of a *slot*: which problem it stands for and the seeds of its
trajectories follow from that number, so they are the same in a run that was interrupted, and however many processes
share a step. Importing this module imports trl.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback
from trl.models.utils import unwrap_model_for_generation

from autollmresearch.episode import Trajectory, run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Policy
from autollmresearch.training.row import row
from autollmresearch.training.vllm import VllmDecoder
from autollmresearch.trajectories import to_dict
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.files import append_lines, whole_file

Opened: TypeAlias = tuple[Experiment, Problem]


class Rollouts:
    """TRL's `rollout_func`; `reward` below is the reward function that belongs to it.

    Args:
        open_slot: the problem of a slot.
        make_policy: a policy around a model.
        group: trajectories per slot.
        longest: tokens of an episode that are learned from.
        seed: of all episodes.
        path: where trajectories are appended, one JSON line each; None keeps none.
        per_step: slots per step.
    """

    def __init__(
        self,
        open_slot: Callable[[int], Opened],
        make_policy: Callable[[Any], Policy],
        *,
        group: int,
        longest: int,
        seed: int,
        per_step: int,
        path: Path | None = None,
    ) -> None:
        self.open_slot = open_slot
        self.make_policy = make_policy
        self.group = group
        self.longest = longest
        self.seed = seed
        self.per_step = per_step
        self.path = path

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        slots = [int(p) for p in prompts]
        opened = {slot: self.open_slot(slot) for slot in dict.fromkeys(slots)}
        experiments, problems = zip(*(opened[slot] for slot in slots), strict=True)
        first = trainer.accelerator.process_index * len(slots)  # a group may be shared by two processes
        seeds = [episode_seed(self.seed, slot, (first + i) % self.group) for i, slot in enumerate(slots)]
        with playing(trainer) as model:
            policy: Any = self.make_policy(model)
            if trainer.use_vllm:
                policy.decoder = VllmDecoder(trainer.vllm_generation)
            trajectories = run_episodes(policy, experiments, problems, seeds)
        self._keep(slots, trajectories, trainer)
        rows = [row(t, self.longest) for t in trajectories]
        return {
            "prompt_ids": [r.prompt for r in rows],
            "completion_ids": [r.completion for r in rows],
            "logprobs": [r.logprobs for r in rows],
            "env_mask": [[int(own) for own in r.own] for r in rows],
            "trajectory": trajectories,  # for the reward below
        }

    def _keep(self, slots: Sequence[int], trajectories: Sequence[Trajectory], trainer: Any) -> None:
        if self.path is None:
            return
        steps = [slot // self.per_step + 1 for slot in slots]
        lines = [json.dumps({"step": s, **to_dict(t)}) for s, t in zip(steps, trajectories, strict=True)]
        lines = gather_object(lines)
        if trainer.accelerator.is_main_process:
            append_lines(self.path, lines)


def reward(trajectory: Sequence[Trajectory], log_metric: Callable[[str, float], None], **_: Any) -> list[float]:
    """TRL's reward function: the environment's reward; how many turns gave a value is logged beside it."""
    outcomes = [o for t in trajectory for o in t.outcomes]
    log_metric("valid", sum(o.kind in ("measured", "snapped") for o in outcomes) / max(len(outcomes), 1))
    return [t.reward for t in trajectory]


def episode_seed(seed: int, slot: int, copy: int) -> int:
    """The seed of one of a slot's trajectories."""
    return int(np.random.SeedSequence([seed, slot, copy]).generate_state(1)[0])


@contextmanager
def playing(trainer: Any) -> Iterator[Any]:
    """The trainer's own model, unwrapped and ready to play: eval mode, no gradients, in the trainer's precision."""
    training = trainer.model.training
    with (
        unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model,
        trainer.accelerator.autocast(),
        torch.no_grad(),
    ):
        model.eval()
        try:
            yield model
        finally:
            model.train(training)


class TrajectoriesKept(TrainerCallback):
    """A run that goes on cuts off the trajectories of steps after its checkpoint: they are played again, the same."""

    def __init__(self, path: Path, updates_per_step: int) -> None:
        self.path = path
        self.updates_per_step = updates_per_step

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        with whole_file(self.path) as temporary, temporary.open("w", encoding="utf-8") as kept:
            for line in _lines(self.path):
                if json.loads(line)["step"] * self.updates_per_step > state.global_step:
                    break
                kept.write(line)


def _lines(path: Path) -> Iterator[str]:
    """The whole lines of a file; none if there is no file."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if line.endswith("\n"))
