"""Whether the probabilities of being best that an agent names come true: on drawn landscapes, and on measured targets.

python benchmarks/calibration.py researcher-mini --recipe recipes/researcher-mini.yaml
python benchmarks/calibration.py researcher-mini --suite micro,steplaw --level medium --protocol metered:10
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.calibration import Calibration, calibration
from autollmresearch.episode import run_episodes
from autollmresearch.methods import make_policy
from autollmresearch.training.landscapes import draw
from autollmresearch.training.recipe import read_recipe
from llmconfig_gym import load_suite


def main() -> None:
    """Print each bin: how many forecasts, what was said, what came true."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", help="as the benchmark names it")
    parser.add_argument("--recipe", type=Path, help="whose landscapes are drawn (held-out seeds)")
    parser.add_argument("--suite", default="", help="suites whose targets are played instead")
    parser.add_argument("--level", default="medium", choices=("medium", "high"), help="of these targets")
    parser.add_argument("--protocol", default="metered:10", help="what is known before the first trial")
    parser.add_argument("--seeds", type=int, default=128, help="landscapes, or draws of each target's cheap runs")
    parser.add_argument("--first", type=int, default=0, help="the first of these seeds")
    parser.add_argument("--budget", type=int, default=3, help="trials on each")
    args = parser.parse_args()
    policy, seeds = make_policy(args.method), list(range(args.first, args.first + args.seeds))
    total = Calibration()
    if args.recipe:
        settings = replace(read_recipe(args.recipe).prior.landscapes, budgets=(args.budget,))
        drawn = [draw(seed, settings) for seed in seeds]
        targets = [e for e, _ in drawn]
        total += calibration(targets, run_episodes(policy, targets, [p for _, p in drawn], seeds))
    for suite in map(load_suite, filter(None, args.suite.split(","))):
        for target in suite.split(args.level):
            if cheaper := suite.cheaper(target.id):
                problems = Protocol.parse(args.protocol).problems(target, cheaper, args.budget, seeds)
                targets = [target] * len(seeds)
                total += calibration(targets, run_episodes(policy, targets, problems, seeds))
    print(f"{args.method}: {total}")
    print("forecasts   said   came true")
    for count, said, share in total.bins:
        print(f"{count:9d}  {said:5.3f}   {share:5.3f}")


if __name__ == "__main__":
    main()
