"""The pretraining runner: learning rate x batch size for a tiny decoder trained from scratch.

A group of this sweep is one (experiment, batch size): all its learning rates and seeds train side by side as one
stack. The same group gives the same bits again on the same machine. Settings are read and tables made without PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from llmconfig_gym.collect.driver import Group, Measurement, Row, Run, check_names, finite
from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.code import lab_code
from llmconfig_gym.collect.lab.processor import device_name, lab_arithmetic
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.collect.table import short, tabulate
from llmconfig_gym.experiment import Experiment, Fidelity, Level, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

if TYPE_CHECKING:
    from llmconfig_gym.collect.lab.train import Run as TrainingRun

CLIP = 1.25
"""Runs worse than this multiple of the best count as that on the regret scale, as in the public pretraining tables."""

METRIC = Metric(
    "validation_loss",
    "minimize",
    about=(
        "Loss on held-out text at the end of the run, in nats per token, averaged over repetitions where there were "
        "some. Every run sees each training token once. Runs that diverged end far above the rest. The number of "
        "parameters in the fidelity excludes embeddings and the output matrix."
    ),
    details={
        "train_loss": "mean training loss over the last 5% of the steps, in nats per token",
        "train_loss_at_25%": "mean training loss over the 5% of the steps that end at a quarter of the run",
        "train_loss_at_50%": "the same at half of the run",
        "train_loss_at_75%": "the same at three quarters of the run",
        "gradient_norm_mean": "norm of the gradient before clipping (at 1), averaged over the run",
        "gradient_norm_max": "the largest such norm in the run",
        "steps": "number of optimiser steps: the token budget divided by the tokens per batch",
    },
)


@dataclass(frozen=True)
class PretrainingSetting:
    """One experiment: a shape, a number of tokens, and the grid of configurations to measure."""

    level: Level
    shape: DecoderShape
    tokens: int
    lrs: tuple[float, ...]
    batch_sizes: tuple[int, ...]  # sequences of `shape.context` tokens
    weights: Mapping[str, float] = field(default_factory=lambda: dict(corpus.DEFAULT_WEIGHTS))

    @property
    def name(self) -> str:
        """For example `N98k-D1M`."""
        return f"N{short(self.shape.parameters)}-D{short(self.tokens)}"

    @property
    def flops(self) -> float:
        """Compute of one run: 6 * N * D, with N as in `DecoderShape.parameters`."""
        return 6.0 * self.shape.parameters * self.tokens

    def seconds(self, batch_size: int, replicas: int) -> float:
        """About what a stack of replicas takes on a core of its own: a part per step, a part per run and token."""
        steps = self.tokens // (self.shape.context * batch_size)
        return 1.5e-3 * steps + replicas * self.tokens * (2.5e-6 + 1.4e-10 * self.shape.parameters)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PretrainingSetting:
        """The setting that `dataclasses.asdict` took apart, maybe by way of JSON. Raises KeyError, TypeError."""
        shape, lrs, batch_sizes = DecoderShape(**data["shape"]), tuple(data["lrs"]), tuple(data["batch_sizes"])
        return cls(data["level"], shape, data["tokens"], lrs, batch_sizes, dict(data["weights"]))


# One grid for all experiments, so that a configuration of one is legal in every other. Wide enough that the best
# is inside on both axes at 6k parameters and 262k tokens as well as at 98k parameters and 1M tokens.
LEARNING_RATES = tuple(2.0**-power for power in range(12, 2, -1))  # 2.4e-4 to 0.125
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


def _micro(level: Level, width: int, tokens: int) -> PretrainingSetting:
    shape = DecoderShape(
        layers=2, width=width, heads=max(2, width // 16), mlp_ratio=4, context=32, vocab=corpus.VOCABULARY
    )
    return PretrainingSetting(level, shape, tokens, LEARNING_RATES, BATCH_SIZES)


# The embedded suite, cheapest level first; compute 6 * N * D spans a factor of 64.
MICRO: tuple[PretrainingSetting, ...] = (
    _micro("low", 16, 2**18),
    _micro("low", 16, 2**19),
    _micro("low", 32, 2**18),
    _micro("medium", 16, 2**20),
    _micro("medium", 32, 2**19),
    _micro("medium", 32, 2**20),
    _micro("high", 64, 2**18),
    _micro("high", 64, 2**19),
    _micro("high", 64, 2**20),
)


@dataclass(frozen=True)
class PretrainingRunner:
    """Sweeps its settings, one experiment each (see `llmconfig_gym.collect.driver.Runner`).

    Attributes:
        settings: the experiments; their names must be distinct.
        device: as PyTorch names it, e.g. `cpu` or `cuda`.
    """

    settings: tuple[PretrainingSetting, ...] = MICRO
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_names(s.name for s in self.settings)

    def manifest(self) -> dict[str, Any]:
        """Settings, device type, the lab's source files and PyTorch's release. Raises MissingExtra without PyTorch."""
        return {
            "runner": "pretraining",
            "settings": [asdict(s) for s in self.settings],
            "device": self.device.split(":")[0],
            **lab_code(("corpus.py", "decoder.py", "shape.py", "train.py")),
        }

    def groups(self) -> list[Group]:
        """One group per experiment and batch size.

        Every learning rate is run with seed 0, and one learning rate per batch size, rising with the batch
        size as the best one does, also with seeds 1 and 2: these replicates are the noise floor.
        """
        out: list[Group] = []
        for setting in self.settings:
            for column, batch_size in enumerate(setting.batch_sizes):
                repeated = setting.lrs[min(len(setting.lrs) // 3 + column // 2, len(setting.lrs) - 1)]
                plan = [*((lr, 0) for lr in setting.lrs), (repeated, 1), (repeated, 2)]
                runs = (Run(setting.name, {"lr": lr, "batch_size": batch_size}, seed) for lr, seed in plan)
                seconds = setting.seconds(batch_size, len(plan))
                out.append(Group(f"{setting.name}-b{batch_size}", tuple(runs), seconds))
        return out

    def alone(self, run: Run) -> Group:
        """The group that measures one run by itself."""
        setting, batch_size = self._place((run,))
        return Group(f"{setting.name}-b{batch_size}-alone", (run,), setting.seconds(batch_size, 1))

    def measure(self, group: Group) -> list[Measurement]:
        """Train the group's runs side by side on one thread. Raises CollectError for what cannot be trained."""
        from llmconfig_gym.collect.lab.train import train

        setting, batch_size = self._place(group.runs)
        lrs = [_float(run.config["lr"]) for run in group.runs]
        seeds = [run.seed for run in group.runs]
        where = device_name(self.device)
        with lab_arithmetic():
            results = train(
                setting.shape, setting.tokens, batch_size, lrs, seeds, weights=setting.weights, device=self.device
            )
        return [_measurement(result, where) for result in results]

    def suite(self, name: str, rows: Sequence[Row]) -> Suite:
        """One experiment per setting: mean over seeds, spread, noise floor. Timings and devices stay out of it."""
        chosen = {s.name: [r for r in rows if r.run.experiment == s.name] for s in self.settings}
        return Suite.of(name, _card(self.settings), [_experiment(name, s, chosen[s.name]) for s in self.settings])

    def _place(self, runs: Sequence[Run]) -> tuple[PretrainingSetting, int]:
        """The experiment and the batch size, which all runs of a group share."""
        (name,) = {run.experiment for run in runs}
        (batch_size,) = {int(_float(run.config["batch_size"])) for run in runs}
        return next(s for s in self.settings if s.name == name), batch_size


def _measurement(result: TrainingRun, device: str) -> Measurement:
    details = {
        "train_loss": result.train_loss,
        "train_loss_at_25%": result.train_loss_quarter,
        "train_loss_at_50%": result.train_loss_half,
        "train_loss_at_75%": result.train_loss_three_quarters,
        "gradient_norm_mean": result.gradient_norm_mean,
        "gradient_norm_max": result.gradient_norm_max,
        "steps": result.steps,
    }
    numbers = {name: finite(number) for name, number in details.items()}
    return Measurement(finite(result.validation_loss), result.status, numbers, result.seconds, device)


def _experiment(suite: str, setting: PretrainingSetting, rows: Sequence[Row]) -> Experiment:
    table = tabulate(rows, METRIC.details)
    unit = f"sequences of {setting.shape.context} tokens"
    space = Space((Grid("lr", setting.lrs, log=True), Grid("batch_size", setting.batch_sizes, log=True, unit=unit)))
    return Experiment(
        id=f"{suite}/{setting.name}",
        suite=suite,
        task="pretraining",
        family="pretraining",
        level=setting.level,
        fidelity=Fidelity({"parameters": setting.shape.parameters, "tokens": setting.tokens}, setting.flops),
        metric=METRIC,
        pool=Pool.from_configs(space, table.configs),
        **table.outcomes(METRIC.direction),
        clip=CLIP,
    )


def _card(settings: Sequence[PretrainingSetting]) -> Card:
    configurations = sum(len(s.lrs) * len(s.batch_sizes) for s in settings)
    return Card(
        title=(
            f"Tiny decoders pretrained from scratch: learning rate and batch size at {len(settings)} model and data "
            f"sizes ({configurations} configurations)"
        ),
        licence="Apache-2.0, as the project",
        maker="llmconfig_gym.collect.pretraining/1",
        notes=(
            "Each run trains a decoder-only transformer on a seeded, procedurally generated corpus of characters, with "
            "AdamW (betas 0.9 and 0.95, weight decay 0.1), clipping at norm 1, 5% linear warm-up and cosine decay to "
            "zero; every token is seen once.",
            "value: validation loss on 65,536 held-out tokens, the same for all runs; where a configuration was run "
            "with three seeds (one learning rate per batch size), value and details are means and spread is the sample "
            "standard deviation. A seed governs initial weights, training data and their order.",
            "noise: root mean square of the spreads of the replicated configurations in the better half of the table.",
            "parameters (N) excludes embeddings and the output matrix; cost is 6ND FLOPs.",
            "A run whose loss is not finite has no value; one that diverged to a finite loss keeps it. The regret "
            f"scale is clipped at {CLIP} times the best loss.",
        ),
    )


def _float(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
