"""The architecture runner: layers, width, heads and MLP ratio of a tiny decoder, its loss against what it costs.

Each architecture is trained once for a scale's token budget; from that one run come nine targets, validation loss
traded against FLOPs, parameters or measured latency with three weights. A group of this sweep is one architecture with
all its seeds. The same group gives the same losses again on the same machine, but not the same latency. Tables are made
without PyTorch.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from llmconfig_gym.collect.driver import Group, Measurement, Row, Run, check_names, finite
from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.code import lab_code
from llmconfig_gym.collect.lab.processor import device_name, lab_arithmetic
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.collect.table import Table, revalued, short, tabulate
from llmconfig_gym.errors import CollectError
from llmconfig_gym.experiment import Experiment, Fidelity, Level, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Config, Space
from llmconfig_gym.suite import Card, Suite

if TYPE_CHECKING:
    from llmconfig_gym.collect.lab.train import Run as TrainingRun

CONTEXT = 32
BATCH_SIZE = 16
WEIGHTS = (0.3, 0.7, 1.5)
ENDS = 4
"""One architecture in so many has a setting at an end of its range."""

COSTS: Mapping[str, tuple[str, str]] = {
    "flops": ("flops_per_token", "floating-point operations of training, per token"),
    "parameters": ("all_parameters", "number of parameters, embeddings included"),
    "latency": ("latency_ms", "time of one forward pass over eight sequences of 32 tokens, in milliseconds"),
}
"""Name of a cost in ids, its detail, and what it is."""

DETAILS = {
    "validation_loss": "loss on held-out text at the end of training, in nats per token",
    **dict(COSTS.values()),
    "train_loss": "mean training loss over the last 5% of the steps, in nats per token",
}


@dataclass(frozen=True)
class ArchitectureSetting:
    """One scale: what an architecture may be, which are measured, and the tokens each is trained on.

    Attributes:
        level: its place in the suite's split.
        tokens: of training.
        layers, widths, heads, mlp_ratios: the grid. Heads divide widths where at most one is at an end of its range.
        measured: how many architectures are drawn from the grid, at most as many as combinations inside its ends.
        replicated: how many of these are trained with three seeds.

    Raises CollectError for more architectures than that.
    """

    level: Level
    tokens: int
    layers: tuple[int, ...]
    widths: tuple[int, ...]
    heads: tuple[int, ...]
    mlp_ratios: tuple[float, ...]
    measured: int
    replicated: int

    def __post_init__(self) -> None:
        inside = math.prod(len(a) - 2 for a in (self.layers, self.widths, self.heads, self.mlp_ratios))
        if not 1 <= self.measured <= inside:
            raise CollectError(
                f"{self.measured} architectures cannot be drawn from a grid with {inside} combinations inside its ends"
            )

    @property
    def name(self) -> str:
        """For example `architecture-w8to128-D786k`."""
        return f"architecture-w{self.widths[0]}to{self.widths[-1]}-D{short(self.tokens)}"

    @property
    def space(self) -> Space:
        """Widths go by their position in the range from scale to scale, everything else by its value."""
        return Space(
            (
                Grid("layers", self.layers, log=True),
                Grid("width", self.widths, log=True, relative=True),
                Grid("heads", self.heads, log=True),
                Grid("mlp_ratio", self.mlp_ratios, log=True),
            )
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ArchitectureSetting:
        """The setting that `dataclasses.asdict` took apart, maybe by way of JSON. Raises TypeError."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in data.items()}
        return cls(**fields)

    def configurations(self) -> list[dict[str, float]]:
        """The measured architectures, in a random but fixed order that all scales with a grid of this size share.

        In one of `ENDS` one setting, each in turn, is at an end of its range, to show that one can go too far. All
        other settings are inside, where people search.
        """
        rng = random.Random(0)
        axes = (self.layers, self.widths, self.heads, self.mlp_ratios)
        drawn: dict[tuple[int, ...], None] = {}
        while len(drawn) < self.measured:
            place = [rng.randrange(1, len(axis) - 1) for axis in axes]
            if len(drawn) % ENDS == ENDS - 1:
                end, extreme = divmod(len(drawn) // ENDS, len(axes))
                place[extreme] = (len(axes[extreme]) - 1) * (end % 2)
            drawn[tuple(place)] = None
        names = self.space.names
        return [{n: a[i] for n, a, i in zip(names, axes, place, strict=True)} for place in drawn]

    def shape(self, config: Config) -> DecoderShape:
        """The decoder of an architecture."""
        layers, width, heads = (int(_number(config, n)) for n in ("layers", "width", "heads"))
        return DecoderShape(layers, width, heads, _number(config, "mlp_ratio"), CONTEXT, corpus.VOCABULARY)

    @staticmethod
    def lr(width: int) -> float:
        """The learning rate falls as the width grows, as the best one does in the pretraining sweep."""
        return 0.2 / width

    def seconds(self, config: Config, replicas: int) -> float:
        """About what one architecture's seeds take on a core of their own."""
        shape = self.shape(config)
        steps = self.tokens // (CONTEXT * BATCH_SIZE)
        per_token = 2.5e-6 + 1.4e-10 * shape.parameters
        return 7e-4 * (1 + shape.layers) * steps + replicas * (self.tokens * per_token + 0.2)


def _micro(level: Level, scale: float) -> ArchitectureSetting:
    widths = tuple(round(scale * width) for width in (8, 16, 32, 64, 128))
    return ArchitectureSetting(
        level, 3 * 2**18, (1, 2, 3, 4, 6), widths, (1, 2, 4, 8), (0.25, 0.5, 1, 2, 4, 8), measured=64, replicated=8
    )


# The embedded suite, cheapest level first. Widths are in proportion, so that each scale has the same architectures by
# position in the range.
MICRO: tuple[ArchitectureSetting, ...] = (_micro("low", 1), _micro("medium", 1.5), _micro("high", 2))


@dataclass(frozen=True)
class ArchitectureRunner:
    """Sweeps its settings (see `llmconfig_gym.collect.driver.Runner`); each gives nine experiments.

    Attributes:
        settings: the scales; their names must be distinct.
        device: as PyTorch names it, e.g. `cpu` or `cuda`.
    """

    settings: tuple[ArchitectureSetting, ...] = MICRO
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_names(s.name for s in self.settings)

    def manifest(self) -> dict[str, Any]:
        """Settings, device type, the lab's source files and PyTorch's release. Raises MissingExtra without PyTorch."""
        return {
            "runner": "architecture",
            "settings": [asdict(s) for s in self.settings],
            "device": self.device.split(":")[0],
            **lab_code(("corpus.py", "decoder.py", "latency.py", "shape.py", "train.py")),
        }

    def groups(self) -> list[Group]:
        """One group per architecture; the first ones drawn are run with seeds 0, 1 and 2, the others with seed 0."""
        out: list[Group] = []
        for setting in self.settings:
            for place, config in enumerate(setting.configurations()):
                seeds = range(3 if place < setting.replicated else 1)
                runs = tuple(Run(setting.name, config, seed) for seed in seeds)
                out.append(Group(f"{setting.name}/{place}", runs, setting.seconds(config, len(runs))))
        return out

    def alone(self, run: Run) -> Group:
        """The group that measures one run by itself."""
        place = f"{run.experiment}/alone-" + "-".join(map(str, run.config.values()))
        return Group(place, (run,), self._setting(run).seconds(run.config, 1))

    def measure(self, group: Group) -> list[Measurement]:
        """Train the group's seeds side by side on one thread. Raises CollectError for what cannot be trained."""
        from llmconfig_gym.collect.lab.latency import forward_seconds
        from llmconfig_gym.collect.lab.train import train

        setting, config = self._setting(group.runs[0]), group.runs[0].config
        shape = setting.shape(config)
        seeds = [run.seed for run in group.runs]
        lrs = [setting.lr(shape.width)] * len(seeds)
        where = device_name(self.device)
        with lab_arithmetic():
            results = train(shape, setting.tokens, BATCH_SIZE, lrs, seeds, device=self.device)
            latencies = [forward_seconds(shape, self.device) for _ in seeds]
        return [_measurement(r, shape, 1e3 * latency, where) for r, latency in zip(results, latencies, strict=True)]

    def suite(self, name: str, rows: Sequence[Row]) -> Suite:
        """Nine experiments per scale: three costs, each with three weights."""
        experiments: list[Experiment] = []
        for setting in self.settings:
            mine = [r for r in rows if r.run.experiment == setting.name]
            experiments += [_experiment(name, setting, mine, cost, w) for cost in COSTS for w in WEIGHTS]
        return Suite.of(name, _card(self.settings), experiments)

    def _setting(self, run: Run) -> ArchitectureSetting:
        return next(s for s in self.settings if s.name == run.experiment)


def _measurement(result: TrainingRun, shape: DecoderShape, latency_ms: float, device: str) -> Measurement:
    loss = finite(result.validation_loss)
    details = {
        "validation_loss": loss,
        "flops_per_token": float(shape.flops_per_token),
        "all_parameters": float(shape.all_parameters),
        "latency_ms": latency_ms,
        "train_loss": finite(result.train_loss),
    }
    return Measurement(loss, result.status, details, result.seconds, device)


def _experiment(suite: str, setting: ArchitectureSetting, rows: Sequence[Row], cost: str, weight: float) -> Experiment:
    """Loss and cost are rescaled by the range of the table's means, so that 0 is its best and 1 its worst."""
    detail, about = COSTS[cost]
    raw = tabulate(rows, DETAILS)
    (low, span), (least, range_) = _range(raw, "validation_loss"), _range(raw, detail)

    def target(m: Measurement) -> float | None:
        loss, paid = m.details["validation_loss"], m.details[detail]
        return None if loss is None or paid is None else (loss - low) / span + weight * (paid - least) / range_

    table = tabulate(revalued(rows, target), DETAILS)
    metric = Metric(
        f"loss_{cost}_cost",
        "minimize",
        f"Relative validation loss plus {weight} times relative cost, which is the {about}. Each is rescaled to 0 for "
        "the best and 1 for the worst of the architectures measured at this scale, so a large model pays in cost what "
        "it gains in loss. Every architecture is trained from scratch on the same number of tokens.",
        DETAILS,
    )
    flops = float(np.mean(raw.details["flops_per_token"])) * setting.tokens
    parameters = float(np.mean(raw.details["all_parameters"]))
    return Experiment(
        id=f"{suite}/{setting.name}-{cost}-w{weight}",
        suite=suite,
        task="architecture",
        family=f"{cost}-w{weight}",
        level=setting.level,
        fidelity=Fidelity({"mean_parameters": parameters, "tokens": setting.tokens}, flops),
        metric=metric,
        pool=Pool.from_configs(setting.space, table.configs),
        **table.outcomes(metric.direction),
    )


def _range(table: Table, detail: str) -> tuple[float, float]:
    """Least value and range of a detail, over the architectures that have it."""
    values = table.details[detail][np.isfinite(table.details[detail])]
    return float(values.min()), float(np.ptp(values))


def _card(settings: Sequence[ArchitectureSetting]) -> Card:
    return Card(
        title=(
            "Tiny decoders of many shapes: layers, width, heads and MLP ratio, validation loss against FLOPs, "
            f"parameters and latency at {len(settings)} scales ({sum(s.measured for s in settings)} architectures)"
        ),
        licence="Apache-2.0, as the project",
        maker="llmconfig_gym.collect.architecture/1",
        notes=(
            f"Each is trained once on its scale's tokens, in batches of {BATCH_SIZE} sequences of "
            f"{CONTEXT} tokens, with a learning rate of 0.2 over the width and otherwise the recipe of pretraining. "
            f"They are drawn at random from the grid; one in {ENDS} has one setting at an end of its range, all other "
            "settings are inside.",
            "value is minmax(validation loss) + w * minmax(cost), both over the scale's own table, for "
            f"w in {{{', '.join(map(str, WEIGHTS))}}} and three costs: FLOPs per token of training (6 per weight that "
            "is multiplied, and attention), parameters with embeddings, and latency.",
            "Latency is the least of 200 timed forward passes over eight sequences of 32 tokens on one "
            "thread of the machine that made the suite. Another machine measures another latency; `verify` compares "
            "the loss.",
            "Cost of a run is the mean over the table of FLOPs per token, times tokens.",
        ),
    )


def _number(config: Config, name: str) -> float:
    value = config[name]
    assert isinstance(value, int | float)
    return float(value)
