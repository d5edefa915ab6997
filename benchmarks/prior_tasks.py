"""How an agent and its peers do on drawn landscapes that nobody was trained on.

python benchmarks/prior_tasks.py runs/smoke/prior/checkpoint --recipe recipes/cpu-smoke.yaml
python benchmarks/prior_tasks.py runs/smoke/prior/checkpoint --recipe recipes/cpu-smoke.yaml --kind pretraining
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from autollmresearch.methods import make_policy, split_methods
from autollmresearch.training.evaluate import evaluate
from autollmresearch.training.recipe import read_recipe


def main() -> None:
    """Print one line per method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="an agent's directory")
    parser.add_argument("--recipe", type=Path, required=True, help="whose landscapes are drawn")
    parser.add_argument("--kind", help="draw one kind only: pretraining, grpo, architecture or mixture")
    parser.add_argument("--methods", default="random,copy", help="peers, as the benchmark names them")
    parser.add_argument("--seeds", type=int, default=128, help="landscapes")
    parser.add_argument("--budget", type=int, default=3, help="trials on each")
    args = parser.parse_args()
    settings = read_recipe(args.recipe).prior.landscapes
    if args.kind:
        settings = replace(settings, kinds={args.kind: 1.0})
    for name in [f"agent:{args.checkpoint}", *split_methods(args.methods)]:
        print(f"{name}: {evaluate(make_policy(name), settings, range(args.seeds), args.budget)}", flush=True)


if __name__ == "__main__":
    main()
