"""How much say the analyst's worlds should have beside a scoring agent: simple regret after one more trial, by trust.

The states are those of the analyst's own episodes, so that the model scores each once and every trust chooses from the
same. On drawn landscapes that nobody was trained on, or on medium targets; a trust is never chosen on high ones.

python benchmarks/trust.py agent:runs/mini/distill/checkpoint --recipe recipes/researcher-mini.yaml --seeds 64
python benchmarks/trust.py agent:runs/mini/distill/checkpoint --suite micro,steplaw --protocol full,metered:10 --seeds 2
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.evidence.analyst import Known, believed
from autollmresearch.evidence.posterior import proposals
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policies.agent import AgentPolicy
from autollmresearch.policies.causal_lm import CausalLMPolicy, recent
from autollmresearch.policies.score import answers, choose, weigh
from autollmresearch.policy import State
from autollmresearch.training.landscapes import draw
from autollmresearch.training.recipe import read_recipe
from llmconfig_gym import load_suite
from llmconfig_gym.experiment import Experiment

TRUSTS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""From the model alone to the analyst alone."""


def main() -> None:
    """Print, for each kind of problem, the mean regret after one more trial for each trust."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", help="as the benchmark names it")
    parser.add_argument("--recipe", type=Path, help="whose landscapes are drawn (held-out seeds)")
    parser.add_argument("--suite", default="", help="suites whose medium targets are played")
    parser.add_argument("--protocol", default="full,metered:10", help="what is known before the first trial")
    parser.add_argument("--seeds", type=int, default=64, help="landscapes, or draws of each target's cheap runs")
    parser.add_argument("--turns", type=int, default=3, help="states of each episode")
    args = parser.parse_args()
    named = make_policy(args.agent)
    assert isinstance(named, AgentPolicy)
    agent = CausalLMPolicy.load(named.path, **{**named.options, "decode": "score"})
    cases = list(_drawn(args) if args.recipe else _measured(args))
    regrets: dict[str, list[list[float]]] = defaultdict(list)
    for kind, experiment, problem in tqdm(cases, unit="episode"):
        regrets[kind] += _episode(agent, experiment, problem, args.turns)
    print(f"{'':36}" + "".join(f"{t:9g}" for t in TRUSTS) + "   states")
    means = {kind: np.mean(rows, axis=0) for kind, rows in regrets.items()}
    means["all (mean of the above)"] = np.mean(list(means.values()), axis=0)
    for kind, mean in means.items():
        print(f"{kind:36}" + "".join(f"{m:9.4f}" for m in mean) + f"{len(regrets.get(kind, ())) or '':>9}")


def _drawn(args: argparse.Namespace) -> Iterator[tuple[str, Experiment, Problem]]:
    settings = replace(read_recipe(args.recipe).prior.landscapes, budgets=(args.turns,))
    for seed in range(args.seeds):
        experiment, problem = draw(seed, settings)
        yield experiment.family, experiment, problem


def _measured(args: argparse.Namespace) -> Iterator[tuple[str, Experiment, Problem]]:
    for suite in map(load_suite, args.suite.split(",")):
        for target in suite.split("medium"):
            for name in args.protocol.split(","):
                seeds = [0] if name == "full" else list(range(args.seeds))
                for problem in Protocol.parse(name).problems(target, suite.cheaper(target.id), args.turns, seeds):
                    yield f"{suite.name} {target.task} {name}", target, problem


def _episode(agent: CausalLMPolicy, experiment: Experiment, problem: Problem, turns: int) -> list[list[float]]:
    """For each state of the analyst's episode, the regret after one more trial, by trust."""
    losses = experiment.losses
    state, best, result = State(problem), np.inf, []
    for _ in range(turns):
        possible = answers(state, agent.settings.style, agent.chat.words)
        turns, new, _ = agent._read(state)
        read, _ = recent(turns, new, agent.settings.context - max(map(len, possible.ids)))
        _, share = weigh(agent.model, read, possible.ids)
        rows = [int(possible.rows[choose(state, possible.rows, share, trust)[0]]) for trust in TRUSTS]
        result.append(experiment.regret(np.minimum(best, losses[rows])).tolist())
        row = int(proposals(believed(Known(problem, state.trials)), problem.budget - len(state.trials))[0])
        best = min(best, losses[row])
        state = State(problem, (*state.trials, experiment.outcome(row)))
    return result


if __name__ == "__main__":
    main()
