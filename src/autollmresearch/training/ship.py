"""Ship: a trained checkpoint as the files that the package brings, with a model card made from what the run recorded.

    python -m autollmresearch.training.ship runs/researcher-mini --machine "two CPU cores" --results results.md \\
        --limits limits.md --out src/autollmresearch/agents/researcher-mini

The files are loaded and written anew, so that only safetensors, JSON and the chat template get in. What the run
recorded (data, settings, seeds, seconds) is put into the card as it stands; what was measured and what the agent cannot
do are texts of the author's own.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

from autollmresearch.errors import ResearchError, StepProblem
from autollmresearch.training import STEPS
from autollmresearch.training.curate import SAMPLES, read_samples
from autollmresearch.training.sft import CHECKPOINT
from autollmresearch.training.step import digest, read_manifest
from llmconfig_gym.errors import GymError
from llmconfig_gym.files import whole_directory, write_text

MOST = 20_000_000
"""Bytes that the shipped files may have in all."""

CARD = "README.md"
TRAINS = ("prior", "distill", "reinforce")
"""Steps that make a checkpoint."""


def ship(run: Path, out: Path, *, machine: str, results: str, limits: str, step: str = "reinforce") -> Path:
    """Write the agent of a run to a directory, and return its model card.

    Args:
        machine: on which the run was made, in words.
        results, limits: sections of the card, in Markdown.
        step: whose checkpoint is taken, one of `TRAINS`.

    Raises:
        StepProblem: a step is not finished, or the files are too large.
        CheckpointProblem: the checkpoint cannot be loaded.
    """
    from autollmresearch.policies.causal_lm import AgentSettings
    from autollmresearch.policies.pretrained import load_pretrained

    steps = [_manifest(run, name) for name in STEPS[: STEPS.index(step) + 1]]
    checkpoint = run / step / CHECKPOINT
    model, tokenizer = load_pretrained(checkpoint)
    with whole_directory(out) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        AgentSettings.load(checkpoint).save(temporary)
        for path in temporary.iterdir():
            path.chmod(0o644)  # safetensors writes for its owner alone
        size = sum(path.stat().st_size for path in temporary.iterdir())
        if size > MOST:
            raise StepProblem(
                f"the files of {checkpoint} have {size:,} bytes, and at most {MOST:,} are shipped; train with "
                "model.dtype bfloat16, or a smaller model"
            )
        samples = run / "curate" / SAMPLES
        made = {
            "parameters": model.num_parameters(),
            "dtype": str(model.dtype).removeprefix("torch."),
            "size": size,
            "files": {p.name: digest(p) for p in sorted(temporary.glob("*.safetensors"))},
            "targets": Counter(s.target for s in read_samples(samples)) if len(steps) > 1 else {},
        }
        card = model_card(out.name, step, steps, made, machine=machine, results=results, limits=limits)
        write_text(temporary / CARD, card)
    return out / CARD


def model_card(
    name: str,
    step: str,
    steps: Sequence[Mapping[str, Any]],
    made: Mapping[str, Any],
    *,
    machine: str,
    results: str,
    limits: str,
) -> str:
    """The card in Markdown.

    Args:
        steps: manifests, in the order of the pipeline.
        made: `parameters`, `dtype`, `size` in bytes, `files` with digests, `targets` with the number of their samples.
    """
    settings = {k: v for manifest in steps for k, v in manifest["settings"].items()}
    model, prior = settings["model"], settings["prior"]
    words = dict.fromkeys((*model["suites"], *prior["landscapes"]["suites"]))
    kinds = ", ".join(prior["landscapes"]["kinds"])
    files = "\n".join(f"- `{file}`: sha256 `{sha}`" for file, sha in made["files"].items())
    cost = [
        (s["step"], s["seed"], f"{s['seconds']:,.0f}", _counts(s["counts"]), s["finished"][:10], s["version"])
        for s in steps
    ]
    headers = ("step", "seed", "seconds", "counted", "finished", "version")
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---

# {name}

A causal language model of {made["parameters"]:,} weights ({made["dtype"]}) that reads cheap LLM experiments, thinks in
words and proposes the configuration of the expensive one: a shipped agent of AutoLLMResearch. It is used by its name,
`{name}`, or as `agent:PATH`. It speaks the dialogue of this project only, and is no chat model.

## Model

{_shape(model)} `agent.json` holds what its prompts show. All files have {made["size"] / 1e6:.1f} MB; this is the
checkpoint of the step `{step}`.

{files}

## Data

- {prior["episodes"]:,} landscapes drawn at random ({kinds}), each played once by an expert that knows the optimum.
  They borrow the words (names of settings, their levels, metrics) of {_listed(words)}, and no outcome.
{_practice(made["targets"])}
- High-fidelity experiments are locked: no step of the training can open one.

## Results

{results.strip()}

## Limits

{limits.strip()}

## Seeds and cost

On {machine}.

{tabulate(cost, headers, tablefmt="github", disable_numparse=True)}

## Recipe

Every setting of the run, as resolved:

```yaml
{yaml.safe_dump(settings, sort_keys=False, width=110).strip()}
```
"""


def _manifest(run: Path, name: str) -> dict[str, Any]:
    manifest = read_manifest(run / name)
    if manifest is None:
        raise StepProblem(
            f"{run / name} is not finished; run it first: autollmresearch train {name} --recipe ... --out {run}"
        )
    return manifest


def _shape(model: Mapping[str, Any]) -> str:
    if model["path"]:
        return f"Fine-tuned from {Path(model['path']).name}."
    return (
        f"From scratch, tokenizer included: {model['family']}, {model['layers']} layers of width {model['width']}, "
        f"{model['heads']} heads, at most {model['vocabulary']} tokens, episodes of at most {model['context']} tokens."
    )


def _practice(targets: Mapping[str, int]) -> str:
    """What it practised on after the drawn landscapes."""
    if not targets:
        return "- No real outcome: it has learned from drawn landscapes alone."
    listed = ", ".join(f"`{target}` ({count})" for target, count in targets.items())
    return (
        f"- {sum(targets.values())} problems on {len(targets)} medium experiments, each with low ones of its family as "
        f"context: {listed}."
    )


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(Path(n).name for n in names) or "no suite"


def _counts(counts: Mapping[str, Any]) -> str:
    plain = {k: v for k, v in counts.items() if isinstance(v, int | float) and k != "seconds"}
    return ", ".join(
        f"{k.replace('_', ' ')} {v:,.4g}" if isinstance(v, float) else f"{k.replace('_', ' ')} {v:,}"
        for k, v in plain.items()
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="autollmresearch.training.ship", description="Make a run's agent a shipped one."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a training run")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the files go; what is there is replaced"
    )
    parser.add_argument("--machine", required=True, help="on which the run was made, in words")
    parser.add_argument("--results", type=Path, required=True, metavar="MD", help="file with the section Results")
    parser.add_argument("--limits", type=Path, required=True, metavar="MD", help="file with the section Limits")
    parser.add_argument("--step", choices=TRAINS, default="reinforce", help="whose checkpoint is taken (reinforce)")
    args = parser.parse_args(argv)
    try:
        texts = {name: getattr(args, name).read_text(encoding="utf-8") for name in ("results", "limits")}
        print(ship(args.run, args.out, machine=args.machine, step=args.step, **texts))
    except (ResearchError, GymError, OSError) as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
