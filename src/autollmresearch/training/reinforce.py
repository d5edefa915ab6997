"""Reinforce: multi-turn GRPO on the curated samples and on procedural tasks.

G trajectories are played on each sample; each is rewarded by the environment (1 minus its normalised cumulative
regret) and compared with its group (reward.py), and all tokens that the agent wrote in it share that advantage; no
other token is learned from (Guo et al., arXiv 2605.11518, section 4.2). TRL's `GRPOTrainer` does the update on
Accelerate; `grpo.py` and `rollouts.py` say what is ours in it.

A run starts from RUN/distill/checkpoint, samples come from RUN/curate/samples.jsonl and `landscapes.draw`, and
RUN/reinforce gets `checkpoint/`, `trajectories.jsonl` and `metrics.jsonl`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autollmresearch.errors import InvalidRecipe
from autollmresearch.training.curate import SAMPLES, open_sample, read_samples
from autollmresearch.training.landscapes import draw, training_seed
from autollmresearch.training.processes import process_count, weights_are_shared
from autollmresearch.training.reward import Scale
from autollmresearch.training.sft import CHECKPOINT, METRICS, WORKING, last_checkpoint, save
from autollmresearch.training.unlocked import suite_files
from llmconfig_gym.description import require

if TYPE_CHECKING:
    from autollmresearch.evidence.records import Problem
    from autollmresearch.policy import Policy
    from autollmresearch.training.curate import Sample
    from autollmresearch.training.landscapes import LandscapeSettings
    from autollmresearch.training.recipe import Recipe
    from llmconfig_gym.experiment import Experiment

TRAJECTORIES = "trajectories.jsonl"
APART = 1 << 31
"""The procedural tasks of this step are numbered from here: the prior step's are below."""


@dataclass(frozen=True)
class ReinforceSettings:
    """How to reinforce.

    Attributes:
        steps: batches of trajectories.
        samples: samples per step.
        group: trajectories per sample (G), at least 2.
        prior_share: share of the samples that are procedural tasks; 1 without curated ones.
        budgets: trials per episode, one drawn for each sample; empty leaves each sample its own.
        temperature: at which trajectories are sampled, and learned from.
        epochs: updates per batch of trajectories.
        loss: how tokens are averaged: `grpo` over a trajectory's tokens, then over trajectories; `dapo` over all tokens
            of the batch; `dr_grpo` by a constant.
        scale: what advantages are divided by: the standard deviation of the `group`, of the `batch`, or by `none`.
        clip_low, clip_high: how far a token's probability may fall or rise within one step, as a share.
        kl: weight of the divergence from the distilled model; 0 keeps no second model.
        episode_tokens: of a trajectory, those beyond are not learned from.
        micro_batch: rows that one process computes at once; updates do not depend on it, memory does.
        learning_rate, schedule, warmup, weight_decay, max_grad_norm: of AdamW, as in `SftSettings`.
        precision: `bf16` (autocast; weights keep their type) or `fp32`.
        gradient_checkpointing: less memory for more time; for large models.
        vllm: trajectories are played by vLLM on the same GPUs; not tried yet (vllm.py).
        vllm_memory: share of each GPU's memory that it may use.
        save_every: steps between the checkpoints that an interrupted run goes on from.
        report_to: any reporter that transformers' Trainer knows (tensorboard, wandb, ...), or none.
    """

    steps: int = 100
    samples: int = 8
    group: int = 8
    prior_share: float = 0.5
    budgets: tuple[int, ...] = ()
    temperature: float = 1.0
    epochs: int = 1
    loss: Literal["grpo", "dapo", "dr_grpo"] = "grpo"
    scale: Scale = "group"
    clip_low: float = 0.2
    clip_high: float = 0.2
    kl: float = 0.0
    episode_tokens: int = 8192
    micro_batch: int = 16
    learning_rate: float = 1e-5
    schedule: str = "constant_with_warmup"
    warmup: float = 0.0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    precision: Literal["bf16", "fp32"] = "fp32"
    gradient_checkpointing: bool = False
    vllm: bool = False
    vllm_memory: float = 0.3
    save_every: int = 20
    report_to: str = "none"

    def __post_init__(self) -> None:
        for name in ("temperature", "learning_rate", "max_grad_norm"):
            require(getattr(self, name) > 0, f"{name} is more than 0", getattr(self, name))
        for name in ("steps", "samples", "epochs", "micro_batch", "save_every"):
            require(getattr(self, name) >= 1, f"{name} is at least 1", getattr(self, name))
        for name in ("kl", "weight_decay", "clip_low", "clip_high"):
            require(getattr(self, name) >= 0, f"{name} is at least 0", getattr(self, name))
        require(self.group >= 2, "group is at least 2: an advantage compares trajectories", self.group)
        require(0 <= self.prior_share <= 1, "prior_share is a share, in [0, 1]", self.prior_share)
        require(0 <= self.warmup < 1, "warmup is a share of the updates, in [0, 1)", self.warmup)
        require(all(b >= 1 for b in self.budgets), "budgets are at least 1 trial", self.budgets)
        require(self.episode_tokens >= 2, "episode_tokens is at least 2", self.episode_tokens)


def reinforce(recipe: Recipe, run: Path, *, start: Path | None = None, progress: bool = True) -> None:
    """Reinforce the distilled agent of a run, or the checkpoint `start` in its place, as RUN/reinforce.

    Raises:
        InvalidRecipe, StepProblem, LockedExperiment, CheckpointProblem: it cannot be started as it stands.
    """
    from autollmresearch.policies.causal_lm import CausalLMPolicy
    from autollmresearch.policies.pretrained import load_pretrained
    from autollmresearch.training.step import run_step, same_agent

    settings, landscapes = recipe.reinforce, recipe.prior.learned
    if weights_are_shared() and (recipe.agent.score or not settings.vllm):
        raise InvalidRecipe(
            "weights are shared among processes (FSDP, or ZeRO-3), and each plays episodes of its own, which cannot "
            "gather them in step; set reinforce.vllm: true (and agent.score: false), or launch with ZeRO-2"
        )
    checkpoint, path = start or run / "distill" / CHECKPOINT, run / "curate" / SAMPLES

    def work(out: Path) -> dict[str, Any]:
        same_agent(recipe.agent, checkpoint)
        model, tokenizer = load_pretrained(checkpoint, dtype=recipe.model.dtype, trainable=True)
        samples = read_samples(path) if settings.prior_share < 1 else []

        def agent(model: Any) -> CausalLMPolicy:
            return CausalLMPolicy(model, tokenizer, recipe.agent, settings.temperature)

        open_slot = slots(samples, settings, landscapes, recipe.seed)
        train(model, tokenizer, open_slot, agent, settings, out, seed=recipe.seed, progress=progress)
        recipe.agent.save(out / CHECKPOINT)
        played = settings.steps * settings.samples
        return {"steps": settings.steps, "samples": played, "trajectories": played * settings.group}

    run_step(
        run,
        "reinforce",
        work,
        settings={"reinforce": asdict(settings), "landscapes": asdict(landscapes)},
        inputs={"checkpoint": checkpoint}
        | ({"samples": path, **suite_files(recipe.curate.suites)} if settings.prior_share < 1 else {}),
        seed=recipe.seed,
    )


def train(
    model: Any,
    tokenizer: Any,
    open_slot: Callable[[int], tuple[Experiment, Problem]],
    make_policy: Callable[[Any], Policy],
    settings: ReinforceSettings,
    out: Path,
    *,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """Reinforce `model` in place and save it, with its tokenizer, as `out/checkpoint`.

    It goes on from its last checkpoint in `out/working`, if there is one; with the same arguments it then ends with the
    same weights and the same trajectories as a run that was never interrupted.

    Args:
        model: a transformers model that generates text, or a peft model around one; loaded from a path where `kl` is
            not 0, for the model that it is held to is loaded from there.
        open_slot: the problem of slot 0, 1, ...: `settings.samples` slots a step.
        make_policy: the agent around a model.

    Raises:
        InvalidRecipe: the trajectories of a step cannot be shared by the processes, or `report_to` is unknown.
    """
    from autollmresearch.training.reporting import check_reporter, report
    from autollmresearch.training.rollouts import Rollouts, TrajectoriesKept, reward

    check_reporter(settings.report_to)
    out.mkdir(parents=True, exist_ok=True)
    rollouts = Rollouts(
        open_slot,
        make_policy,
        group=settings.group,
        longest=settings.episode_tokens,
        seed=seed,
        per_step=settings.samples,
        path=out / TRAJECTORIES,
    )
    trainer = make_trainer(model, tokenizer, rollouts, reward, settings, out / WORKING, seed=seed)
    trainer.add_callback(TrajectoriesKept(out / TRAJECTORIES, settings.epochs))
    last = last_checkpoint(out / WORKING)
    with report(trainer, out / METRICS, "reinforce", progress=progress), warnings.catch_warnings():
        # TRL 1.16 asks transformers 5.24 under a name that it is going to drop.
        warnings.filterwarnings("ignore", ".*gradient_checkpointing", FutureWarning)
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    unwrapped = trainer.accelerator.unwrap_model(trainer.model)
    if "ref" in getattr(unwrapped, "peft_config", {}):
        unwrapped.delete_adapter("ref")  # TRL's copy of the adapter that was started from
    save(trainer, out / CHECKPOINT)


def make_trainer(
    model: Any,
    tokenizer: Any,
    rollouts: Any,
    reward: Any,
    settings: ReinforceSettings,
    working: Path,
    *,
    seed: int = 0,
    kind: type[Any] | None = None,
) -> Any:
    """The trainer of these settings: a `GroupTrainer`, or a `kind` of TRL's (the tests compare the two).

    Its data set is the slots in order, as text, because TRL's `rollout_func` is given nothing but prompts.
    """
    import torch
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig

    from autollmresearch.training.grpo import GroupTrainer

    micro, parts = _share(settings)
    arguments = GRPOConfig(
        output_dir=str(working),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=parts,
        steps_per_generation=parts,
        max_steps=settings.steps * settings.epochs,
        num_generations=settings.group,
        num_iterations=settings.epochs,
        temperature=settings.temperature,
        top_p=1.0,
        top_k=0,
        max_completion_length=settings.episode_tokens,
        loss_type=settings.loss,
        scale_rewards=settings.scale,
        epsilon=settings.clip_low,
        epsilon_high=settings.clip_high,
        beta=settings.kl,
        use_bias_correction_kl=False,  # as in the paper of GRPO
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=settings.precision == "bf16",
        activation_checkpointing=settings.gradient_checkpointing,
        disable_dropout=True,
        shuffle_dataset=False,
        remove_unused_columns=False,
        use_vllm=settings.vllm,
        vllm_mode="colocate",
        vllm_gpu_memory_utilization=settings.vllm_memory,
        vllm_importance_sampling_mode="token_truncate",
        save_strategy="steps",
        save_steps=settings.save_every * settings.epochs,
        save_total_limit=2,  # the older one is there until the newer one is whole
        logging_steps=1,
        report_to=settings.report_to,
        seed=seed,
        dataloader_pin_memory=False,
        use_cpu=not torch.accelerator.is_available(),  # or processes launched on CPU would not know of each other
        disable_tqdm=True,
        log_level="error",
    )
    slots = Dataset.from_dict({"prompt": [str(i) for i in range(settings.steps * settings.samples)]})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rollout_func")  # experimental: the tests pin what we use of it
        return (kind or GroupTrainer)(
            model=model,
            args=arguments,
            train_dataset=slots,
            processing_class=tokenizer,
            reward_funcs=reward,
            rollout_func=rollouts,
        )


def _share(settings: ReinforceSettings) -> tuple[int, int]:
    """A process's part of a step: rows per micro-batch (at most `micro_batch`, all of equal number), and how many."""
    processes = process_count()
    rows, rest = divmod(settings.samples * settings.group, processes)
    if rest:
        raise InvalidRecipe(
            f"{settings.samples} samples of {settings.group} trajectories cannot be shared by {processes} processes; "
            "choose a multiple"
        )
    micro = max(n for n in range(1, min(settings.micro_batch, rows) + 1) if rows % n == 0)
    return micro, rows // micro


def slots(
    samples: Sequence[Sample], settings: ReinforceSettings, landscapes: LandscapeSettings, seed: int
) -> Callable[[int], tuple[Experiment, Problem]]:
    """Which problem each slot stands for: a curated sample, in an order drawn anew each time around, or in its place a
    procedural task that the prior step never saw. It depends on seed and slot alone.
    """

    def open_slot(slot: int) -> tuple[Experiment, Problem]:
        rng = np.random.default_rng([seed, slot])
        if not samples or rng.random() < settings.prior_share:
            experiment, problem = draw(training_seed(seed, APART + slot), landscapes)
        else:
            around, place = divmod(slot, len(samples))
            order = np.random.default_rng([seed, around, len(samples)]).permutation(len(samples))
            experiment, problem = open_sample(samples[order[place]])
        budget = int(rng.choice(settings.budgets)) if settings.budgets else problem.budget
        return experiment, replace(problem, budget=min(budget, len(problem.pool)))

    return open_slot
