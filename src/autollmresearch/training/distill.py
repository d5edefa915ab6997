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
    from autollmresearch.policies.causal_lm import AgentSettings
    from autollmresearch.policies.pretrained import load_pretrained
    from autollmresearch.training.step import run_step

    checkpoint, path = run / "prior" / CHECKPOINT, run / "simulate" / TRAJECTORIES

    def work(out: Path) -> dict[str, Any]:
        model, tokenizer = load_pretrained(checkpoint, trainable=True)
        rows = encode(read_trajectories(path), Chat(tokenizer))
        result = fine_tune(
            model, tokenizer, rows, recipe.distill.sft, out, seed=recipe.seed, title="distill", progress=progress
        )
        AgentSettings.load(checkpoint).save(out / CHECKPOINT)
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

    Where there are token ids they are the row, as sampled: an answer that was cut off ends where it was cut off, and a
    turn for which there was no room is not in it. A trajectory that was joined from two is encoded from its text; a
    turn in which nothing was said is not learned from.
    """
    rows = []
    for trajectory in trajectories:
        said = [turn.proposal for turn in trajectory.turns]
        if any(p.tokens for p in said) and all(p.tokens or not p.config for p in said):
            rows.append(Encoded(trajectory.ids(), trajectory.own()))
        else:
            rows.append(chat.encode(messages(trajectory), [bool(p.config) for p in said]))
    return rows


def messages(trajectory: Trajectory) -> list[dict[str, str]]:
    """A trajectory as the conversation it was: what was read, what was said, ending with what was said."""
    made = []
    for turn in trajectory.turns:
        made.append({"role": "user", "content": turn.proposal.prompt})
        made.append({"role": "assistant", "content": str(turn.proposal.config)})
    return made
