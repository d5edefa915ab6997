"""How fast training is: tokens per second of fine-tuning and seconds of a GRPO step, ours and stock TRL.

    python benchmarks/training_speed.py [--format table|json] [--small] [--width N] [--steps N] [--same SHARE]

One model from scratch with random weights (about 3M parameters, one CPU thread, fp32) and the same data for both.

SFT: expert episodes on drawn landscapes, from conversations to a saved checkpoint. Ours is `training.sft.fine_tune`;
stock is TRL's `SFTTrainer` on a `messages` data set with `assistant_only_loss=True`. Tokens count without padding.

GRPO: one step is rollouts and update. Both play the same landscapes with the same budget, group and micro-batch, and
both write turns of the same length (an untrained model does not stop). Stock is TRL's `GRPOTrainer` with a rollout
function as its documentation has them: in every turn `model.generate` reads the whole left-padded history anew, each
copy of a prompt too. It returns zeros as sampled log-probabilities, which TRL does not use there, so it pays nothing
for them.
Rewards are made up, for an untrained model earns none: `--same` is the share of samples on which all trajectories
earn the same. It is 0 by default, the worst case for ours, which then can leave out no row.

Every figure is made in a process of its own: CPU seconds (other work on the machine does not count), the mean of the
steps after the first, and the peak of its resident memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from autollmresearch.dialogue import Style, observation, prompt
from autollmresearch.episode import Trajectory
from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy
from autollmresearch.policies.chat import Chat
from autollmresearch.training import landscapes
from autollmresearch.training.prior import PriorSettings, episode
from autollmresearch.training.reinforce import ReinforceSettings, make_trainer, slots
from autollmresearch.training.scratch import ModelSettings, make_model, make_tokenizer
from autollmresearch.training.sft import SftSettings, fine_tune
from llmconfig_gym.env import ConfigEnv

GOALS = {"sft": 1.0, "grpo": 1.5}
"""How many times faster than stock ours is to be."""
TURNS = 5
WRITES = 48
"""Trials of an episode, and tokens of a turn."""


def sft_settings(args: argparse.Namespace) -> SftSettings:
    return SftSettings(epochs=1, batch_size=16, max_length=4096, log_every=1_000, save_every=1_000_000)


def grpo_settings(args: argparse.Namespace) -> ReinforceSettings:
    samples, group = (2, 4) if args.small else (4, 8)
    return ReinforceSettings(
        steps=args.steps + 1,
        samples=samples,
        group=group,
        prior_share=1.0,
        budgets=(2,) if args.small else (TURNS,),
        micro_batch=8,
        episode_tokens=4096,
        save_every=1_000_000,
    )


def make(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """The model, its tokenizer and the conversations, in `folder`."""
    made = [episode(PriorSettings(), Style(), 0, i)[0] for i in range(32 if args.small else 96)]
    texts = ["\n".join(m["content"] for m in messages) for messages in made]
    sizes = ModelSettings(layers=6, width=args.width, heads=6, key_heads=6, mlp=8 * args.width // 3, context=8192)
    tokenizer = make_tokenizer(texts, sizes)
    model = make_model(sizes, tokenizer, 0)
    tokenizer.save_pretrained(folder / "model")
    model.save_pretrained(folder / "model")
    (folder / "messages.json").write_text(json.dumps(made))
    chat = Chat(tokenizer)
    lengths = [len(chat.encode(m).ids) for m in made]
    return {"parameters": model.num_parameters(), "rows": len(made), "tokens": sum(lengths), "longest": max(lengths)}


def load(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32, use_safetensors=True)
    return model, AutoTokenizer.from_pretrained(folder / "model")


def sft_ours(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    model, tokenizer = load(folder)
    conversations = json.loads((folder / "messages.json").read_text())
    start = time.process_time()
    chat = Chat(tokenizer)
    rows = [chat.encode(messages) for messages in conversations]
    fine_tune(model, tokenizer, rows, sft_settings(args), folder / "sft-ours", progress=False)
    return {"seconds": time.process_time() - start}


def sft_stock(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = load(folder)
    conversations = json.loads((folder / "messages.json").read_text())
    ours = sft_settings(args)
    config = SFTConfig(
        output_dir=str(folder / "sft-stock"),
        num_train_epochs=ours.epochs,
        per_device_train_batch_size=ours.batch_size,
        learning_rate=ours.learning_rate,
        lr_scheduler_type=ours.schedule,
        max_length=ours.max_length,
        assistant_only_loss=True,
        bf16=False,
        activation_checkpointing=False,
        save_strategy="no",
        logging_steps=ours.log_every,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    start = time.process_time()
    data = Dataset.from_dict({"messages": conversations})
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    trainer.save_model(str(folder / "sft-stock" / "checkpoint"))
    return {"seconds": time.process_time() - start}


def earns(experiment: str, copy: int, same: float) -> float:
    """A made-up reward; on a share of the samples it is the same for all copies."""
    one = np.random.default_rng(zlib.crc32(experiment.encode()))
    shared = float(one.random()), float(one.random())
    return shared[1] if shared[0] < same else float(np.random.default_rng([copy, int(1e9 * shared[1])]).random())


class Timed:
    """A rollout function, timed."""

    def __init__(self, play: Callable[[list[str], Any], dict[str, Any]]) -> None:
        self.play = play
        self.seconds: list[float] = []

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        start = time.process_time()
        played = self.play(prompts, trainer)
        self.seconds.append(time.process_time() - start)
        return played


def grpo(
    folder: Path, args: argparse.Namespace, play: Any, reward: Any, model: Any, tokenizer: Any, kind: Any
) -> dict[str, float]:
    """Seconds of a step after the first, and the part of them that was played."""
    from transformers import TrainerCallback

    ends: list[float] = [time.process_time()]

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.process_time())

    timed = Timed(play)
    settings = grpo_settings(args)
    trainer = make_trainer(model, tokenizer, timed, reward, settings, folder / "grpo", kind=kind)
    trainer.add_callback(Clock())
    trainer.train()
    steps = np.diff(ends)[1:]
    return {"seconds": float(steps.mean()), "rollouts": float(np.mean(timed.seconds[1:]))}


def grpo_ours(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    from autollmresearch.training.grpo import GroupTrainer
    from autollmresearch.training.rollouts import Rollouts

    model, tokenizer = load(folder)
    settings = grpo_settings(args)
    agent = AgentSettings(Style(), WRITES, 8192)
    rollouts = Rollouts(
        slots([], settings, landscapes.LandscapeSettings(), 0),
        lambda m: CausalLMPolicy(m, tokenizer, agent, settings.temperature),
        group=settings.group,
        longest=settings.episode_tokens,
        seed=0,
        per_step=settings.samples,
        path=folder / "trajectories.jsonl",
    )

    def reward(trajectory: Sequence[Trajectory], **_: Any) -> list[float]:
        return [earns(t.experiment, i % settings.group, args.same) for i, t in enumerate(trajectory)]

    return grpo(folder, args, rollouts, reward, model, tokenizer, GroupTrainer)


def grpo_stock(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    import torch
    from trl import GRPOTrainer

    model, tokenizer = load(folder)
    settings = grpo_settings(args)
    open_slot = slots([], settings, landscapes.LandscapeSettings(), 0)
    chat = Chat(tokenizer)

    def play(prompts: list[str], trainer: Any) -> dict[str, Any]:
        opened = [open_slot(int(p)) for p in prompts]
        envs = [ConfigEnv(e, problem.budget) for e, problem in opened]
        for env in envs:
            env.reset()
        ids = [chat.start(prompt(problem, Style())) for _, problem in opened]
        starts, own = [len(i) for i in ids], [[False] * len(i) for i in ids]
        for turn in range(settings.budgets[0]):
            longest = max(map(len, ids))
            pads = [longest - len(i) for i in ids]
            batch = torch.tensor([[tokenizer.pad_token_id] * n + i for n, i in zip(pads, ids, strict=True)])
            mask = torch.tensor([[0] * n + [1] * len(i) for n, i in zip(pads, ids, strict=True)])
            trainer.model.eval()
            with torch.no_grad():
                out = trainer.model.generate(
                    input_ids=batch,
                    attention_mask=mask,
                    max_new_tokens=WRITES,
                    do_sample=True,
                    temperature=settings.temperature,
                    top_k=0,
                    top_p=1.0,
                    pad_token_id=tokenizer.pad_token_id,
                    eos_token_id=chat.end_id,
                )
            trainer.model.train()
            for i, written in enumerate(out[:, longest:].tolist()):
                if chat.end_id in written:
                    written = written[: written.index(chat.end_id) + 1]
                ids[i] += written
                own[i] += [True] * len(written)
                envs[i].step(chat.text(written))
                problem, left = opened[i][1], settings.budgets[0] - turn - 1
                if left:
                    said = observation(problem, envs[i].history[-1], left)
                    read = chat.follow(said, written[-1] == chat.end_id)
                    ids[i] += read
                    own[i] += [False] * len(read)
        return {
            "prompt_ids": [i[:s] for i, s in zip(ids, starts, strict=True)],
            "completion_ids": [i[s:] for i, s in zip(ids, starts, strict=True)],
            "logprobs": [[0.0] * len(i[s:]) for i, s in zip(ids, starts, strict=True)],
            "env_mask": [[int(o) for o in mine[s:]] for mine, s in zip(own, starts, strict=True)],
            "on": [e.id for e, _ in opened],
        }

    def reward(on: Sequence[str], **_: Any) -> list[float]:
        return [earns(e, i % settings.group, args.same) for i, e in enumerate(on)]

    return grpo(folder, args, play, reward, model, tokenizer, GRPOTrainer)


PARTS = {"sft-ours": sft_ours, "sft-stock": sft_stock, "grpo-ours": grpo_ours, "grpo-stock": grpo_stock}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time fine-tuning and a GRPO step, ours and stock TRL's.")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="output format (default: table)")
    parser.add_argument("--small", action="store_true", help="a quick look: few rows, short episodes")
    parser.add_argument("--width", type=int, default=192, help="width of the model, a multiple of 6 (default: 192)")
    parser.add_argument("--steps", type=int, default=2, help="GRPO steps that are timed (default: 2)")
    parser.add_argument("--same", type=float, default=0.0, help="share of samples without an advantage (default: 0)")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.steps < 1 or args.width < 6 or args.width % 6 or not 0 <= args.same <= 1:
        parser.error("--steps is at least 1, --width a multiple of 6, --same a share in [0, 1]")
    return args


def run_part(args: argparse.Namespace) -> None:
    """One figure, as JSON on the last line of standard output."""
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    found = PARTS[args.part](args.folder, args)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def main() -> None:
    args = parse()
    if args.part:
        run_part(args)
        return
    found: dict[str, dict[str, float]] = {}
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make(folder, args)
        for part in PARTS:
            command = [sys.executable, __file__, *sys.argv[1:], "--part", part, "--folder", name]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quiet})
            if done.returncode:
                sys.exit(f"{part} failed:\n{done.stderr[-4000:]}")
            found[part] = json.loads(done.stdout.splitlines()[-1])
            if part.startswith("sft"):
                found[part]["tokens_per_second"] = data["tokens"] / found[part]["seconds"]
    faster = {what: found[f"{what}-stock"]["seconds"] / found[f"{what}-ours"]["seconds"] for what in GOALS}
    met = {what: faster[what] >= goal for what, goal in GOALS.items()}
    settings = replace(grpo_settings(args), steps=args.steps)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "load": round(os.getloadavg()[0], 1)}
    if args.format == "json":
        print(json.dumps({**machine, "data": data, "same": args.same, "parts": found, "faster": faster, "met": met}))
        return
    print(", ".join(f"{k} {v}" for k, v in machine.items()) + "; CPU seconds of one thread, fp32")
    print(
        f"model: {data['parameters']:,.0f} parameters; SFT: {data['rows']} rows of {data['tokens']:,} tokens; GRPO: ",
        end="",
    )
    print(f"{settings.samples} x {settings.group} episodes of {settings.budgets[0]} turns of {WRITES} tokens\n")
    rows = [
        (
            part,
            f"{f['seconds']:.1f}",
            f"{f['tokens_per_second']:,.0f}" if "tokens_per_second" in f else "-",
            f"{f['rollouts']:.1f}" if "rollouts" in f else "-",
            f"{f['peak_mb']:,.0f}",
        )
        for part, f in found.items()
    ]
    headers = ("", "seconds", "tokens/s", "of it rollouts", "peak MB")
    print(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))
    for what, goal in GOALS.items():
        print(f"{what}: {faster[what]:.2f} times as fast as stock; goal {goal:g}: {'met' if met[what] else 'NOT MET'}")


if __name__ == "__main__":
    main()
