"""Supervised fine-tuning on conversations that are token ids already, with loss on the agent's own tokens only.

Multi-turn: one row is a whole episode, and every token the agent wrote in it (the end of each turn included) is a
label; nothing else is. TRL's `SFTTrainer` does the work, on Accelerate, so `accelerate launch` runs the same on many
GPUs; an update sees the same rows however many processes share them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autollmresearch.errors import InvalidRecipe, StepProblem
from llmconfig_gym.description import require

if TYPE_CHECKING:
    import datasets

    from autollmresearch.policies.chat import Encoded

CHECKPOINT = "checkpoint"
METRICS = "metrics.jsonl"
WORKING = "working"
"""In a step's directory: the trained model; what was logged; what only resuming needs (removed with the manifest)."""


@dataclass(frozen=True)
class SftSettings:
    """How to fine-tune.

    Attributes:
        epochs: passes over the rows; may be a fraction.
        batch_size: rows per update, over all processes.
        micro_batch: rows that one process computes at once; updates do not depend on it, memory does. 0: all its rows.
        learning_rate: of AdamW, at its peak.
        schedule: how it falls: a name that transformers knows (cosine, linear, constant_with_warmup, ...).
        warmup: share of the updates over which it rises.
        weight_decay: of AdamW.
        max_grad_norm: gradients are scaled down to this norm.
        max_length: tokens; a longer row is left out, and counted.
        precision: `bf16` (autocast; weights keep their type) or `fp32`.
        group_by_length: batches of rows of like length, so that little is padding.
        gradient_checkpointing: less memory for a fifth more time; for large models.
        save_every: updates between the checkpoints that an interrupted run goes on from.
        log_every: updates between lines of metrics.jsonl; a divisor of `save_every` keeps its means whole when resumed.
        report_to: any reporter that transformers' Trainer knows (tensorboard, wandb, ...), or none.
    """

    epochs: float = 1.0
    batch_size: int = 32
    micro_batch: int = 0
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup: float = 0.03
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    max_length: int = 2048
    precision: Literal["bf16", "fp32"] = "fp32"
    group_by_length: bool = True
    gradient_checkpointing: bool = False
    save_every: int = 500
    log_every: int = 10
    report_to: str = "none"

    def __post_init__(self) -> None:
        for name in ("epochs", "learning_rate", "max_grad_norm"):
            require(getattr(self, name) > 0, f"{name} is more than 0", getattr(self, name))
        for name in ("batch_size", "max_length", "save_every", "log_every"):
            require(getattr(self, name) >= 1, f"{name} is at least 1", getattr(self, name))
        for name in ("micro_batch", "weight_decay"):
            require(getattr(self, name) >= 0, f"{name} is at least 0", getattr(self, name))
        require(0 <= self.warmup < 1, "warmup is a share of the updates, in [0, 1)", self.warmup)


@dataclass(frozen=True)
class SftResult:
    """What came of it.

    Attributes:
        rows: how many were learned from.
        too_long: how many were left out because they are longer than `max_length`.
        own_tokens: labels in those rows.
        updates: of the whole run.
        tokens: read in the whole run, without padding.
        loss: mean of the last logged updates; None if none was logged.
        seconds: of this process's run (a run that went on counts from there).
    """

    rows: int
    too_long: int
    own_tokens: int
    updates: int
    tokens: int
    loss: float | None
    seconds: float


def fine_tune(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Encoded] | datasets.Dataset,
    settings: SftSettings,
    out: Path,
    *,
    seed: int = 0,
    title: str = "sft",
    progress: bool = True,
) -> SftResult:
    """Train `model` in place and save it, with its tokenizer, as `out/checkpoint`.

    It goes on from its last checkpoint in `out/working`, if there is one; with the same arguments it then ends with the
    same weights as a run that was never interrupted.

    Args:
        model: a transformers model that generates text, or a peft model around one.
        tokenizer: its tokenizer; needs a pad token.
        rows: encoded conversations, or a data set with columns `input_ids` and `assistant_masks`.
        out: gets `checkpoint/`, `metrics.jsonl` and `working/`.

    Raises:
        InvalidRecipe: the batch size is no multiple of processes times `micro_batch`, or the schedule or reporter is
            unknown.
        StepProblem: no row is left to learn from.
    """
    import torch
    from transformers.trainer_utils import SchedulerType
    from trl.trainer.sft_config import SFTConfig

    from autollmresearch.training.lengths import LengthGroups
    from autollmresearch.training.own_tokens import OwnTokens, OwnTokensTrainer
    from autollmresearch.training.reporting import check_reporter, report

    if settings.schedule not in (known := [s.value for s in SchedulerType]):
        raise InvalidRecipe(f"schedule is one of {', '.join(known)}; found {settings.schedule!r}")
    check_reporter(settings.report_to)
    data, lengths, own, too_long = _prepared(rows, settings.max_length)
    if not len(data):
        raise StepProblem(
            f"no row to learn from: {too_long} rows are longer than max_length {settings.max_length} tokens, "
            "and there are no others"
        )
    working = out / WORKING
    started = time.monotonic()
    config = SFTConfig(
        output_dir=str(working),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=settings.precision == "bf16",
        use_cpu=not torch.accelerator.is_available(),
        activation_checkpointing=settings.gradient_checkpointing,
        save_strategy="steps",
        save_steps=settings.save_every,
        save_total_limit=2,  # the older one is there until the newer one is whole
        logging_steps=settings.log_every,
        report_to=settings.report_to,
        seed=seed,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        log_level="error",
    )
    _share(config, settings)
    trainer = OwnTokensTrainer(
        model=model,
        args=config,
        train_dataset=data,
        processing_class=tokenizer,
        data_collator=OwnTokens(tokenizer.pad_token_id),
    )
    trainer.groups = LengthGroups(lengths, settings.batch_size, seed, grouped=settings.group_by_length)
    last = last_checkpoint(working)
    with report(trainer, out / METRICS, title, progress=progress):
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    save(trainer, out / CHECKPOINT)
    logged = [log for log in trainer.state.log_history if "loss" in log]
    return SftResult(
        rows=len(data),
        too_long=too_long,
        own_tokens=own,
        updates=trainer.state.global_step,
        tokens=trainer.groups.tokens(trainer.state.global_step),
        loss=float(logged[-1]["loss"]) if logged else None,
        seconds=round(time.monotonic() - started, 3),
    )


def save(trainer: Any, path: Path) -> None:
    """The trainer's model and tokenizer as a directory, whole or not at all; all processes call it together."""
    temporary = path.with_name(f".{path.name}.new")
    if trainer.is_world_process_zero():
        shutil.rmtree(temporary, ignore_errors=True)  # left by a run that was killed here
    trainer.save_model(str(temporary))
    if trainer.is_world_process_zero():
        (temporary / "training_args.bin").unlink(missing_ok=True)  # a pickle; a checkpoint has none
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    trainer.accelerator.wait_for_everyone()


def last_checkpoint(working: Path) -> Path | None:
    """The trainer's newest checkpoint that was written whole (its state is written last), or None."""
    found = sorted(working.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return path
    return None


def _prepared(
    rows: Sequence[Encoded] | datasets.Dataset, max_length: int
) -> tuple[datasets.Dataset, list[int], int, int]:
    """Rows as a data set without those that are too long, their lengths, their labels, and how many were too long."""
    import datasets
    import pyarrow.compute as pc

    if not isinstance(rows, datasets.Dataset):
        columns = {"input_ids": [r.ids for r in rows], "assistant_masks": [r.own for r in rows]}
        rows = datasets.Dataset.from_dict(columns)
    lengths: list[int] = []
    own = 0
    for some in rows.with_format("arrow").iter(10_000) if len(rows) else ():  # a part at a time: there may be millions
        tokens = pc.list_value_length(some["input_ids"])
        masks = pc.list_flatten(some["assistant_masks"].filter(pc.less_equal(tokens, max_length)))
        own += pc.sum(pc.cast(masks, "int64")).as_py() or 0
        lengths += tokens.to_pylist()
    kept = [i for i, n in enumerate(lengths) if n <= max_length]
    data = rows if len(kept) == len(lengths) else rows.select(kept)
    return data, [lengths[i] for i in kept], own, len(lengths) - len(kept)


def _share(config: Any, settings: SftSettings) -> None:
    """Divide an update's rows among processes and micro-batches."""
    processes = max(1, config.world_size)
    micro = settings.micro_batch or max(1, settings.batch_size // processes)
    if settings.batch_size % (micro * processes):
        raise InvalidRecipe(
            f"batch_size {settings.batch_size} cannot be shared by {processes} processes in micro-batches of {micro} "
            "rows; choose a multiple"
        )
    config.per_device_train_batch_size = micro
    config.gradient_accumulation_steps = settings.batch_size // (micro * processes)
