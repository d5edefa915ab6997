"""Architectures of decoder language models: a trade-off of measured perplexity and measured latency at three scales.

Perplexity alone is trivial (the widest wins), so each target adds the latency on a device with a weight. An
architecture has heads and an MLP ratio per layer; a proposal is described by their means over thirds of the depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import SourceFormatError
from llmconfig_gym.experiment import Experiment, Fidelity, Level, Metric
from llmconfig_gym.parameter import Categorical, FloatArray, Grid, Real
from llmconfig_gym.pool import Pool
from llmconfig_gym.sources.download import Origin
from llmconfig_gym.sources.hwgpt_files import latency_files, perplexity_files
from llmconfig_gym.sources.unpickle import load
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

ORIGIN = Origin("automl", "HW-GPT-Bench", "795cba8124826acc600df1bd2bb516b22f207671")
LEVELS: dict[str, Level] = {"s": "low", "m": "medium", "l": "high"}
DEVICES = {"a100": "data-centre GPU", "rtx3080": "consumer desktop GPU"}
WEIGHTS = (0.3, 0.7, 1.5)
FILES: dict[str, str] = {}
for _scale in LEVELS:
    FILES |= perplexity_files(_scale)
    for _device in DEVICES:
        FILES |= latency_files(_device, _scale)

THIRDS = ("early", "middle", "late")
RANGES = {
    "s": ((192, 384, 768), (10, 11, 12), (4, 12)),
    "m": ((256, 512, 1024), (22, 23, 24), (8, 16)),
    "l": ((320, 640, 1280), (34, 35, 36), (8, 20)),
}
"""Embedding widths, numbers of layers, and fewest and most heads of a layer, by scale."""
MLP_RATIOS = (2, 4)

Architecture: TypeAlias = tuple[int, int, tuple[int, ...], tuple[int, ...], bool]
"""Embedding width, layers, heads per layer, MLP ratio per layer, bias: the whole of what was measured."""

CARD = Card(
    title="HW-GPT-Bench, architectures: measured perplexity against measured latency at scales s, m and l",
    licence="Apache-2.0",
    citation=(
        "Sukthanker, Zela, Staffler, Klein, Purucker, Franke, Hutter: HW-GPT-Bench: Hardware-Aware Architecture "
        "Benchmark for Language Models. NeurIPS 2024, arXiv:2405.10299"
    ),
    url="https://github.com/automl/HW-GPT-Bench",
    maker="llmconfig_gym.sources.hwgpt/1",
    notes=(
        "Real observations only (no surrogate), joined on the whole architecture; only the first n_layer entries of "
        "heads and MLP ratios count. Pickles are read by a restricted unpickler.",
        "Perplexities are those of subnetworks with weights inherited from one weight-sharing model per scale.",
        "A proposal is described by width, layers, bias, and the mean heads and MLP ratio of the early, middle and "
        "late third of the layers (cut after round(n/3) and round(2n/3)), to three decimals. It explains over 99.6% of "
        "the variance of latency and of log perplexity. Where two architectures have one description (83 at s, 4 at m, "
        "none at l) the first in upstream's order is kept, the others are left out.",
        "Target: minmax(perplexity) + w * minmax(latency), both over the experiment's own table.",
        "Latency is comparable within a scale only: l was timed under other settings. Energy is left out: its error "
        "(17-24% of the value) hides the differences between architectures.",
        "Fidelity is the mean number of parameters of the table; cost is proportional to it (s = 1): the supernets' "
        "training cost is not recorded.",
        "Noise: pooled variance of the ten timings of each architecture, divided by ten as latency is their mean, "
        "times w over the range of latency. It is a lower bound: it holds neither drift between sessions nor the "
        "variation of training.",
    ),
)


@dataclass(frozen=True)
class Measured:
    """One scale on one device, row by row: columns of the space, and what was measured."""

    config: dict[str, NDArray[Any]]
    perplexity: FloatArray
    latency: FloatArray
    timing_variance: FloatArray
    parameters: FloatArray
    flops: FloatArray

    def __len__(self) -> int:
        return len(self.perplexity)

    def take(self, rows: NDArray[np.int64]) -> Measured:
        """These rows only."""
        config = {k: v[rows] for k, v in self.config.items()}
        return Measured(config, *(getattr(self, k)[rows] for k in _NUMBERS))


_NUMBERS = ("perplexity", "latency", "timing_variance", "parameters", "flops")


def make(paths: Mapping[str, Path]) -> Suite:
    """The suite `hwgpt`: six families (device x weight) at three scales, cheapest scale first.

    Raises:
        SourceFormatError: a file lacks what this was written for.
        UnsafePickle: a file is not plain data.
    """
    experiments = []
    first_size = 0.0
    for scale in LEVELS:
        perplexities = _perplexities(paths[p] for p in perplexity_files(scale))
        for device in DEVICES:
            table = distinct(join(perplexities, (paths[p] for p in latency_files(device, scale))))
            size = float(table.parameters.mean())
            first_size = first_size or size
            fidelity = Fidelity({"mean_parameters": size}, size / first_size, "relative cost")
            pool = Pool(space(scale), table.config)
            experiments += [_experiment(table, pool, fidelity, scale, device, w) for w in WEIGHTS]
    return Suite.of("hwgpt", CARD, experiments)


def read(paths: Mapping[str, Path], scale: str, device: str) -> Measured:
    """Every measured architecture of one scale (`s`, `m`, `l`) that was timed on one device, in upstream's order."""
    perplexities = _perplexities(paths[p] for p in perplexity_files(scale))
    return join(perplexities, (paths[p] for p in latency_files(device, scale)))


def architecture(arch: Mapping[str, Any]) -> Architecture:
    """The whole architecture of a record: lists may be longer than the number of layers, the rest is padding."""
    layers = arch["sample_n_layer"]
    heads, ratios = (tuple(arch[k][:layers]) for k in ("sample_n_head", "sample_mlp_ratio"))
    return arch["sample_embed_dim"], layers, heads, ratios, arch["sample_bias"]


def _records(path: Path) -> list[Mapping[str, Any]]:
    records = load(path)
    if not isinstance(records, list) or not all(isinstance(r, dict) and "arch" in r for r in records):
        raise SourceFormatError(f"{path} is not a list of records with an 'arch'; it is another version's file")
    return records


def _perplexities(paths: Iterable[Path]) -> dict[Architecture, float]:
    try:
        return {architecture(r["arch"]): r["perplexity"] for path in paths for r in _records(path)}
    except (KeyError, TypeError) as problem:
        raise SourceFormatError(f"a perplexity record lacks a field: {problem}") from None


def join(perplexities: Mapping[Architecture, float], timings: Iterable[Path]) -> Measured:
    """Architectures that have both a perplexity and timings, in the order of their perplexities."""
    found: dict[Architecture, tuple[float, ...]] = {}
    for path in timings:
        for record in _records(path):
            try:
                key = architecture(record["arch"])
                if key in perplexities:
                    times = np.array(record["times_profiler_gpu"], dtype=np.float64)
                    latency, sizes = record["gpu_lat"], (record["params"], record["flops"])
                    found[key] = (perplexities[key], latency, float(times.var(ddof=1)), *map(float, sizes))
            except (KeyError, TypeError) as problem:
                raise SourceFormatError(f"{path}: a timing record lacks a field: {problem}") from None
    rows = [key for key in perplexities if key in found]
    return Measured(describe_architectures(rows), *np.array([found[key] for key in rows]).T)


def describe_architectures(rows: list[Architecture]) -> dict[str, NDArray[Any]]:
    """The columns by which proposals are described: width, layers, bias, heads and MLP ratio by third of the depth."""
    config: dict[str, NDArray[Any]] = {
        "embed_dim": np.array([r[0] for r in rows]),
        "layers": np.array([r[1] for r in rows]),
        "bias": np.array([r[4] for r in rows]),
    }
    for name, field in (("heads", 2), ("mlp_ratio", 3)):
        for i, third in enumerate(THIRDS):
            config[f"{name}_{third}"] = np.array([_mean_of_third(r[field], i) for r in rows])  # type: ignore[arg-type]
    return config


def _mean_of_third(values: tuple[int, ...], third: int) -> float:
    part = values[round(len(values) * third / 3) : round(len(values) * (third + 1) / 3)]
    return round(sum(part) / len(part), 3)


def distinct(table: Measured) -> Measured:
    """The first row of each description: a later one could never be told."""
    stacked = np.stack([c.astype(np.float64) for c in table.config.values()], axis=1)
    _, first = np.unique(stacked, axis=0, return_index=True)
    return table.take(np.sort(first))


def space(scale: str) -> Space:
    """The space of one scale: ranges are those of a single layer, which means over a third seldom fill.

    Widths, layers and heads go by their position in the range from scale to scale, MLP ratios by their value.
    """
    widths, layers, heads = RANGES[scale]

    def by_third(name: str, low: int, high: int, about: str, relative: bool) -> list[Real]:
        texts = [f"mean {about} over the {third} third of the layers" for third in ("first", "middle", "last")]
        names = [f"{name}_{third}" for third in THIRDS]
        return [Real(n, low, high, relative=relative, about=t) for n, t in zip(names, texts, strict=True)]

    return Space(
        (
            Grid("embed_dim", widths, log=True, relative=True),
            Grid("layers", layers, relative=True),
            Categorical("bias", (False, True)),
            *by_third("heads", *heads, "number of attention heads per layer", True),
            *by_third(
                "mlp_ratio", *MLP_RATIOS, "width of the feed-forward layer, as a multiple of the residual width,", False
            ),
        )
    )


def _minmax(values: FloatArray) -> FloatArray:
    return np.asarray((values - values.min()) / np.ptp(values))


def _metric(device: str, weight: float) -> Metric:
    where = DEVICES[device]
    return Metric(
        "quality_latency_cost",
        "minimize",
        about=(
            f"Relative perplexity plus {weight} times relative latency on a {where}. Each is rescaled to 0 for the "
            "best and 1 for the worst of the architectures measured at this scale, so the widest models pay in "
            "latency what they gain in perplexity. The perplexity is that of the architecture on held-out text, with "
            "weights inherited from one model trained so that all architectures of the scale share its weights."
        ),
        details={
            "perplexity": "perplexity on held-out text; lower is better",
            "latency_ms": f"time of one forward pass on a {where}, in milliseconds; comparable within a scale",
            "parameters": "number of parameters, embeddings included",
            "forward_flops": "floating-point operations of the timed forward pass; comparable within a scale",
        },
    )


def _experiment(table: Measured, pool: Pool, fidelity: Fidelity, scale: str, device: str, weight: float) -> Experiment:
    jitter = float(np.sqrt(table.timing_variance.mean() / 10))
    return Experiment(
        id=f"hwgpt/{scale}-{device}-w{weight}",
        suite="hwgpt",
        task="architecture",
        family=f"{device}-w{weight}",
        level=LEVELS[scale],
        fidelity=fidelity,
        metric=_metric(device, weight),
        pool=pool,
        values=_minmax(table.perplexity) + weight * _minmax(table.latency),
        details={
            "perplexity": table.perplexity,
            "latency_ms": table.latency,
            "parameters": table.parameters,
            "forward_flops": table.flops,
        },
        noise=weight * jitter / float(np.ptp(table.latency)),
    )
