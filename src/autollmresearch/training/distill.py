"""Distill: multi-turn supervised fine-tuning on the simulated trajectories, with loss on the agent's own tokens only
(Guo et al., arXiv 2605.11518, section 4.2).

From RUN/prior/checkpoint and RUN/simulate/trajectories.jsonl to RUN/distill/checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.episode import Trajectory
from autollmresearch.policies.chat import Chat, Encoded
from autollmresearch.training.sft import CHECKPOINT, SftSettings, fine_tune
from autollmresearch.training.simulate import TRAJECTORIES
from autollmresearch.trajectories import read_trajectories

if TYPE_CHECKING:
    from autollmresearch.training.recipe import Recipe


@dataclass(frozen=True)
class DistillSettings:
    """How to distill.

    Attributes:
        sft: the fine-tuning.
    """

    sft: SftSettings = field(default_factory=lambda: SftSettings(learning_rate=1e-4))


def distill(recipe: Recipe, run: Path, *, progress: bool = True) -> None:
    """Fine-tune the prior's model on what was simulated.

    Raises:
        StepProblem: an input is missing, or no trajectory is short enough.
        CheckpointProblem, TrajectoryProblem: an input is damaged.
    """
    from autollmresearch.policies.pretrained import load_pretrained
    from autollmresearch.training.step import run_step, same_agent

    checkpoint, path = run / "prior" / CHECKPOINT, run / "simulate" / TRAJECTORIES

    def work(out: Path) -> dict[str, Any]:
        same_agent(recipe.agent, checkpoint)
        model, tokenizer = load_pretrained(checkpoint, dtype=recipe.model.dtype, trainable=True)
        rows = encode(read_trajectories(path), Chat(tokenizer))
        result = fine_tune(
            model, tokenizer, rows, recipe.distill.sft, out, seed=recipe.seed, title="distill", progress=progress
        )
        recipe.agent.save(out / CHECKPOINT)
        return asdict(result)

    run_step(
        run,
        "distill",
        work,
        settings={"distill": asdict(recipe.distill)},
        inputs={"checkpoint": checkpoint, "trajectories": path},
        seed=recipe.seed,
    )


def encode(trajectories: Iterable[Trajectory], chat: Chat) -> list[Encoded]:
    """One row per trajectory.

    What the agent wrote is the row as it was sampled: an answer that was cut off ends where it was cut off, and a turn
    in which nothing was said is not learned from. Only where there are no ids (what a continued turn read, without its
    hint; words said elsewhere) are they made from text.
    """
    return [_encode(trajectory, chat) for trajectory in trajectories]


def _encode(trajectory: Trajectory, chat: Chat) -> Encoded:
    ids: list[int] = []
    own: list[bool] = []
    finished = True  # whether the last answer ended itself
    for turn in trajectory.turns:
        said = turn.proposal
        silent = said.tokens is None and not said.config
        read = list(said.tokens.read) if said.tokens else []
        read = read or (chat.follow(said.prompt, finished) if ids else chat.start(said.prompt))
        wrote = list(said.tokens.wrote) if said.tokens else chat.words(str(said.config))
        ids += read + wrote
        own += [False] * len(read) + [not silent] * len(wrote)
        finished = wrote[-1:] == [chat.end_id]
    length = len(own) - own[::-1].index(True) if True in own else 0
    return Encoded(ids[:length], own[:length])  # what was read last, and not answered, teaches nothing
