"""The GRPO runner: reinforcement learning of a tiny decoder on problems whose answers can be verified.

A group of this sweep is some runs of one (experiment, prompts per step), trained side by side as one stack. The base
policy of an experiment is taught once and is sometimes right, so that good settings raise its accuracy and bad ones
wreck it. The same group gives the same bits again on the same machine. Tables are made without PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmconfig_gym.collect.driver import Group, Measurement, Row, Run, check_names, finite
from llmconfig_gym.collect.grpo_settings import FRACTION, MICRO, PROMPTS_PER_STEP, SPACE, GRPOSetting, configurations
from llmconfig_gym.collect.lab.code import lab_code
from llmconfig_gym.collect.lab.problems import family, split
from llmconfig_gym.collect.lab.processor import device_name, lab_arithmetic
from llmconfig_gym.collect.table import tabulate
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Config
from llmconfig_gym.suite import Card, Suite

if TYPE_CHECKING:
    from llmconfig_gym.collect.lab import grpo as lab

STACK = 4096
"""The most sequences of a stack: wider ones outgrow a core's cache."""

SOURCES = (
    *("corpus.py", "decoder.py", "grpo.py", "pretrain_base.py", "problems.py", "sampling.py", "shape.py", "train.py"),
)
"""The files of the lab that decide the numbers."""

METRIC_DETAILS = {
    **{
        f"reward_at_{point}%": f"mean training reward (1 for a correct answer, else 0) as {point}% of the steps ended"
        for point in (20, 40, 60, 80, 100)
    },
    "kl": "divergence from the base policy at the end of training, in nats per token",
    "entropy": "entropy of the policy's next-token distribution at the end of training, in nats per token",
    "response_length": "mean number of tokens of a sampled answer at the end of training",
    "clip_fraction": "share of tokens whose gradient was cut by the clip range at the end of training",
    "gradient_norm": "mean norm of the gradient before it is clipped to norm 1",
    "gradient_norm_max": "largest norm of the gradient",
    "greedy_accuracy": "share of the held-out problems that the most likely answer solves",
    "steps": "number of policy steps",
}


@dataclass(frozen=True)
class GRPORunner:
    """Sweeps its settings, one experiment each (see `llmconfig_gym.collect.driver.Runner`).

    Attributes:
        settings: the experiments; their names must be distinct.
        device: as PyTorch names it, e.g. `cpu` or `cuda`.
        bases: directory where base policies are kept between groups; without it each group teaches its own, which
            gives the same numbers.
    """

    settings: tuple[GRPOSetting, ...] = MICRO
    device: str = "cpu"
    bases: Path | None = None

    def __post_init__(self) -> None:
        check_names(s.name for s in self.settings)

    def manifest(self) -> dict[str, Any]:
        """Settings, space, device type, the lab's source files, PyTorch's release. Raises MissingExtra without it."""
        return {
            "runner": "grpo",
            "settings": [asdict(s) for s in self.settings],
            "space": SPACE.to_list(),
            "fraction": FRACTION,
            "stack": STACK,
            "device": self.device.split(":")[0],
            **lab_code(SOURCES),
        }

    def groups(self) -> list[Group]:
        """Stacks of one experiment and number of prompts per step.

        Each configuration is run with seed 0, and two per number of prompts also with seeds 1 and 2: one near where
        good ones are expected, one far from it. These replicates are the noise floor.
        """
        groups: list[Group] = []
        for setting in self.settings:
            for prompts in PROMPTS_PER_STEP:
                configs = [c for c in configurations() if c["prompts_per_step"] == prompts]
                runs = [Run(setting.name, c, 0) for c in configs]
                runs += [Run(setting.name, c, seed) for c in _replicated(setting, configs) for seed in (1, 2)]
                parts = math.ceil(len(runs) * prompts * setting.group_size / STACK)
                for part in range(parts):
                    mine = tuple(runs[part::parts])
                    seconds = setting.seconds(prompts, len(mine))
                    groups.append(Group(f"{setting.name}/p{prompts}-{part}", mine, seconds))
        return groups

    def alone(self, run: Run) -> Group:
        """The group that measures one run by itself."""
        setting, prompts = self._place((run,))
        return Group(f"{setting.name}/p{prompts}-alone", (run,), setting.seconds(prompts, 1))

    def measure(self, group: Group) -> list[Measurement]:
        """Train the group's runs side by side on one thread. Raises CollectError for what cannot be trained."""
        from llmconfig_gym.collect.lab import grpo as lab
        from llmconfig_gym.collect.lab.pretrain_base import Teaching, base_policy

        setting, prompts = self._place(group.runs)
        problems = split(family(setting.family), setting.held_out, setting.prompts)
        teaching = Teaching(target=setting.base_accuracy)
        plan = lab.Plan(
            prompts, setting.group_size, setting.steps(prompts), setting.answer_tokens, setting.inner_updates
        )
        own = [
            lab.Settings(
                lr=_number(r.config, "lr"),
                kl_coefficient=_number(r.config, "kl_coefficient"),
                clip_range=_number(r.config, "clip_range"),
                seed=r.seed,
            )
            for r in group.runs
        ]
        with lab_arithmetic():
            base, _ = base_policy(setting.shape, problems.examples, problems.held_out, teaching, self.bases)
            runs = lab.train(setting.shape, base, problems.prompts, problems.held_out, own, plan, device=self.device)
        where = device_name(self.device)
        return [_measurement(run, where) for run in runs]

    def suite(self, name: str, rows: Sequence[Row]) -> Suite:
        """One experiment per setting: mean over seeds, spread, noise floor. Timings and devices stay out of it."""
        chosen = {s.name: [r for r in rows if r.run.experiment == s.name] for s in self.settings}
        return Suite.of(name, _card(self.settings), [_experiment(name, s, chosen[s.name]) for s in self.settings])

    def _place(self, runs: Sequence[Run]) -> tuple[GRPOSetting, int]:
        """The experiment and the prompts per step, which all runs of a group share."""
        (name,) = {run.experiment for run in runs}
        (prompts,) = {int(_number(run.config, "prompts_per_step")) for run in runs}
        return next(s for s in self.settings if s.name == name), prompts


def _number(config: Config, name: str) -> float:
    value = config[name]
    assert isinstance(value, int | float)
    return value


def _replicated(setting: GRPOSetting, configs: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Two of these configurations: the nearest to where good ones are expected, and one that is further than most."""
    centre = {**configs[0], "lr": setting.centre, "kl_coefficient": 0.05, "clip_range": 0.1}
    distances = [float(np.abs(SPACE.encode(c) - SPACE.encode(centre)).sum()) for c in configs]
    order = np.argsort(distances, kind="stable")
    return [configs[order[0]], configs[order[len(order) * 2 // 3]]]


def _measurement(run: lab.Run, device: str) -> Measurement:
    rewards = dict(zip((n for n in METRIC_DETAILS if n.startswith("reward_at")), run.rewards, strict=True))
    numbers = {**rewards, **{n: getattr(run, n) for n in METRIC_DETAILS if n not in rewards}}
    details = {name: finite(number) for name, number in numbers.items()}
    return Measurement(finite(run.accuracy), run.status, details, run.seconds, device)


def _experiment(suite: str, setting: GRPOSetting, rows: Sequence[Row]) -> Experiment:
    table = tabulate(rows, METRIC_DETAILS)
    metric = Metric(
        "accuracy",
        "maximize",
        f"Share of held-out problems ({family(setting.family).about}) that the trained policy answers exactly right "
        "with one answer sampled at temperature 1, averaged over repetitions where there were some. Before training it "
        f"is about {setting.base_accuracy:g}.",
        METRIC_DETAILS,
    )
    return Experiment(
        id=f"{suite}/{setting.name}",
        suite=suite,
        task="grpo",
        family=f"grpo-{setting.family}",
        level=setting.level,
        fidelity=Fidelity({"parameters": setting.shape.parameters, "sampled_answers": setting.answers}, setting.flops),
        metric=metric,
        pool=Pool.from_configs(SPACE, table.configs),
        **table.outcomes(metric.direction),
    )


def _card(settings: Sequence[GRPOSetting]) -> Card:
    total = len(configurations()) * len(settings)
    asked = " and ".join(dict.fromkeys(s.family for s in settings))
    return Card(
        title=(
            f"Tiny decoders trained by GRPO on verifiable problems ({asked}): learning rate, prompts per step, KL "
            f"coefficient and clip range in {len(settings)} experiments ({total} configurations)"
        ),
        licence="Apache-2.0, as the project",
        maker="llmconfig_gym.collect.grpo/1",
        notes=(
            "Each run starts from a base policy that was taught the problems by imitation until an answer sampled at "
            "temperature 1 was right about three times in ten, then samples eight answers to each prompt, takes four "
            "updates on each batch (Adam, gradient clipped at norm 1, 5% warm-up, linear decay to zero) and ends when "
            "its budget of sampled answers is spent. Training prompts, held-out problems and the base policy's "
            "examples are disjoint.",
            "value: expected accuracy on 1,024 held-out problems of one answer sampled at temperature 1. It is "
            "computed, not sampled: the probability of the only correct answer, averaged over the problems. Where a "
            "configuration was run with three seeds, value and details are means and spread is the sample standard "
            "deviation. A seed governs the order of the prompts and the sampled answers; the base policy is one.",
            f"The table is a regular fraction of the grid, one configuration in {FRACTION}.",
            "noise: root mean square of the spreads of the replicated configurations in the better half of the table.",
            "cost: forward and backward passes over every answer at its full length, sampling and reference included.",
        ),
    )
