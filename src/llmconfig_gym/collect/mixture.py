"""The mixture runner: shares of seven domains in the training data of a tiny decoder.

Each mixture is trained on once at each scale; from that one run come three targets: the mean of the domains' losses,
and two scores of answering questions, of which one lives on some domains and the other on others. A group of this sweep
is a stack of mixtures, trained side by side. The same group gives the same bits again on the same machine. Tables are
made without PyTorch.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llmconfig_gym.collect.driver import Group, Measurement, Row, Run, check_names, finite
from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.code import lab_code
from llmconfig_gym.collect.lab.processor import device_name, lab_arithmetic
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.collect.table import revalued, short, tabulate
from llmconfig_gym.experiment import Experiment, Fidelity, Level, Metric
from llmconfig_gym.parameter import Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

if TYPE_CHECKING:
    from llmconfig_gym.collect.lab.mixture import Run as TrainingRun

STACK = 16
"""The most replicas of a stack."""

ABOUT: Mapping[str, str] = {
    "prose": "made-up words in likely sequences",
    "facts": "sentences stating who does what, the same facts again and again",
    "arithmetic": "sums, differences and products with their results",
    "code": "short programs that assign and add variables, with their result",
    "nesting": "balanced brackets of four kinds",
    "copying": "random letters, repeated",
    "lists": "random letters, sorted or reversed",
}
SPACE = Space(
    (
        Simplex(
            "weights",
            corpus.DOMAINS,
            about="share of each domain among the training tokens: "
            + "; ".join(f"{name}, {about}" for name, about in ABOUT.items()),
        ),
    )
)
SCORES: Mapping[str, tuple[str, ...]] = {
    "reasoning": ("arithmetic", "code", "copying", "lists"),
    "knowledge": ("prose", "facts"),
}
"""The two scores, and the domains whose questions each averages."""

DETAILS = {
    **{f"loss_{d}": f"loss on held-out {d}, in nats per token" for d in corpus.DOMAINS},
    **{
        f"accuracy_{d}": f"expected share of symbols answered correctly to questions about {d}, between 0 and 1"
        for members in SCORES.values()
        for d in members
    },
    "train_loss": "mean loss on the mixture itself over the last 5% of the steps, in nats per token",
}


@dataclass(frozen=True)
class MixtureSetting:
    """One scale.

    Attributes:
        level: its place in the suite's split.
        width: of the decoder of two layers.
        tokens: of training.
        mixtures: how many are measured; a scale with fewer has the first of another's.
        replicated: how many of these, spread evenly, are trained with three seeds.
    """

    level: Level
    width: int
    tokens: int
    mixtures: int
    replicated: int
    batch_size: int = 8

    @property
    def shape(self) -> DecoderShape:
        """The decoder, as in the pretraining sweep."""
        return DecoderShape(2, self.width, max(2, self.width // 16), 4, 32, corpus.VOCABULARY)

    @property
    def name(self) -> str:
        """For example `mixture-N25k-D524k`."""
        return f"mixture-N{short(self.shape.parameters)}-D{short(self.tokens)}"

    @property
    def lr(self) -> float:
        """The learning rate falls as the width grows, as the best one does in the pretraining sweep."""
        return 0.2 / self.width

    @property
    def flops(self) -> float:
        """Compute of one run: 6 * N * D, with N as in `DecoderShape.parameters`."""
        return 6.0 * self.shape.parameters * self.tokens

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MixtureSetting:
        """The setting that `dataclasses.asdict` took apart, maybe by way of JSON. Raises TypeError."""
        return cls(**data)

    def seconds(self, replicas: int) -> float:
        """About what a stack of replicas takes on a core of its own: a part per step, a part per run and token."""
        steps = self.tokens // (self.shape.context * self.batch_size)
        return 1.5e-3 * steps + replicas * (0.3 + self.tokens * (3e-6 + 1.6e-10 * self.shape.parameters))


# The embedded suite, cheapest level first; compute 6 * N * D spans a factor of 32.
MICRO: tuple[MixtureSetting, ...] = (
    MixtureSetting("low", 16, 2**18, mixtures=96, replicated=8),
    MixtureSetting("medium", 32, 2**19, mixtures=80, replicated=8),
    MixtureSetting("high", 64, 2**19, mixtures=64, replicated=8),
)


def mixtures(count: int) -> list[dict[str, float]]:
    """The first `count` of a fixed random sequence of mixtures, shares in thousandths.

    Shares are proportional to e^p with e exponential, which for p = 1 is uniform over all mixtures; p is drawn between
    0.5 and 2, so that some are nearly even and some nearly all one domain.
    """
    rng = random.Random(0)
    drawn: list[dict[str, float]] = []
    for _ in range(count):
        power = rng.uniform(0.5, 2)
        parts = [(-math.log(1 - rng.random())) ** power for _ in corpus.DOMAINS]
        thousandths = [round(1000 * part / sum(parts)) for part in parts]
        thousandths[thousandths.index(max(thousandths))] += 1000 - sum(thousandths)
        drawn.append({d: n / 1000 for d, n in zip(corpus.DOMAINS, thousandths, strict=True)})
    return drawn


@dataclass(frozen=True)
class MixtureRunner:
    """Sweeps its settings (see `llmconfig_gym.collect.driver.Runner`); each gives three experiments.

    Attributes:
        settings: the scales; their names must be distinct.
        device: as PyTorch names it, e.g. `cpu` or `cuda`.
    """

    settings: tuple[MixtureSetting, ...] = MICRO
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_names(s.name for s in self.settings)

    def manifest(self) -> dict[str, Any]:
        """Settings, device type, the lab's source files and PyTorch's release. Raises MissingExtra without PyTorch."""
        return {
            "runner": "mixture",
            "settings": [asdict(s) for s in self.settings],
            "stack": STACK,
            "device": self.device.split(":")[0],
            **lab_code(("answers.py", "corpus.py", "decoder.py", "mixture.py", "shape.py", "train.py")),
        }

    def groups(self) -> list[Group]:
        """Stacks of one scale; every mixture is run with seed 0, some also with seeds 1 and 2."""
        out: list[Group] = []
        for setting in self.settings:
            drawn = mixtures(setting.mixtures)
            every = len(drawn) // setting.replicated if setting.replicated else len(drawn) + 1
            repeated = drawn[every - 1 :: every][: setting.replicated]
            plan = [*((m, 0) for m in drawn), *((m, seed) for m in repeated for seed in (1, 2))]
            runs = [Run(setting.name, {"weights": m}, seed) for m, seed in plan]
            for part, start in enumerate(range(0, len(runs), STACK)):
                mine = tuple(runs[start : start + STACK])
                out.append(Group(f"{setting.name}/{part}", mine, setting.seconds(len(mine))))
        return out

    def alone(self, run: Run) -> Group:
        """The group that measures one run by itself."""
        return Group(f"{run.experiment}/alone", (run,), self._setting(run).seconds(1))

    def measure(self, group: Group) -> list[Measurement]:
        """Train the group's runs side by side on one thread. Raises CollectError for what cannot be trained."""
        from llmconfig_gym.collect.lab.mixture import train_mixtures

        setting = self._setting(group.runs[0])
        drawn = [_weights(run) for run in group.runs]
        seeds = [run.seed for run in group.runs]
        where = device_name(self.device)
        with lab_arithmetic():
            results = train_mixtures(
                setting.shape, setting.tokens, setting.batch_size, setting.lr, drawn, seeds, device=self.device
            )
        return [_measurement(result, where) for result in results]

    def suite(self, name: str, rows: Sequence[Row]) -> Suite:
        """Three experiments per scale: the mean loss and the two scores."""
        experiments: list[Experiment] = []
        for setting in self.settings:
            mine = [r for r in rows if r.run.experiment == setting.name]
            experiments += [_experiment(name, setting, mine, target) for target in ("loss", *SCORES)]
        return Suite.of(name, _card(self.settings), experiments)

    def _setting(self, run: Run) -> MixtureSetting:
        return next(s for s in self.settings if s.name == run.experiment)


def _weights(run: Run) -> Mapping[str, float]:
    weights = run.config["weights"]
    assert isinstance(weights, Mapping)
    return weights


def _measurement(result: TrainingRun, device: str) -> Measurement:
    numbers = {
        **{f"loss_{d}": loss for d, loss in result.losses.items()},
        **{f"accuracy_{d}": score for d, score in result.accuracies.items()},
        "train_loss": result.train_loss,
    }
    details = {name: finite(numbers[name]) for name in DETAILS}
    return Measurement(finite(result.mean_loss), result.status, details, result.seconds, device)


def _experiment(suite: str, setting: MixtureSetting, rows: Sequence[Row], target: str) -> Experiment:
    metric = _metric(target)
    if target in SCORES:
        names = [f"accuracy_{d}" for d in SCORES[target]]
        rows = revalued(rows, lambda m: _mean([m.details[n] for n in names]))
    table = tabulate(rows, DETAILS)
    return Experiment(
        id=f"{suite}/{setting.name}-{target}",
        suite=suite,
        task="mixture",
        family=f"mixture-{target}",
        level=setting.level,
        fidelity=Fidelity({"parameters": setting.shape.parameters, "tokens": setting.tokens}, setting.flops),
        metric=metric,
        pool=Pool.from_configs(SPACE, table.configs),
        **table.outcomes(metric.direction),
    )


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [n for n in numbers if n is not None]
    return math.fsum(known) / len(known) if len(known) == len(numbers) else None


def _metric(target: str) -> Metric:
    if target == "loss":
        return Metric(
            "mean_loss",
            "minimize",
            f"Loss on held-out text of each of the {len(corpus.DOMAINS)} domains at the end of training, in nats per "
            "token, averaged over the domains: each counts the same, whatever its share of the training data.",
            DETAILS,
        )
    return Metric(
        f"{target}_score",
        "maximize",
        f"How well the trained model answers held-out questions about {', '.join(SCORES[target])}: the expected share "
        "of an answer's symbols that it gets right, averaged over these domains. Between 0 and 1.",
        DETAILS,
    )


def _card(settings: Sequence[MixtureSetting]) -> Card:
    return Card(
        title=(
            f"Tiny decoders trained on mixtures of {len(corpus.DOMAINS)} domains: mean loss, reasoning and knowledge "
            f"at {len(settings)} scales ({sum(s.mixtures for s in settings)} mixtures)"
        ),
        licence="Apache-2.0, as the project",
        maker="llmconfig_gym.collect.mixture/1",
        notes=(
            "Each is trained on once at each scale, in batches of eight sequences of 32 tokens, with a "
            "learning rate of 0.2 over the width and otherwise the recipe of pretraining. The mixtures of a scale are "
            "the first of the next cheaper one's.",
            "Targets are the mean of the losses on 8,192 held-out tokens of each domain, and two scores over "
            "512 questions of each domain: reasoning (arithmetic, code, copying, lists) and knowledge (prose, facts). "
            "A score is the probability that the model gives to the symbols of the correct answer, averaged over "
            "symbols, questions and domains: computed, not sampled.",
        ),
    )
