"""Architectures: row counts, ranges, the join on the whole architecture, descriptions and targets."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.errors import SourceFormatError, UnsafePickle
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Grid, Real
from llmconfig_gym.sources import hwgpt
from llmconfig_gym.sources.hwgpt_files import perplexity_files
from llmconfig_gym.suite import Suite

JOINED = {"s": 10_000, "m": 5_245, "l": 429}
DISTINCT = {"s": 9_917, "m": 5_241, "l": 429}
PERPLEXITY = {"s": (22.16, 41.92), "m": (21.14, 35.67), "l": (18.58, 29.32)}
LATENCY = {"s": (9.4, 29.9), "m": (15.4, 44.2), "l": (13.1, 31.7)}


@pytest.fixture(scope="module")
def table(suite: Callable[[str], Suite]) -> Suite:
    return suite("hwgpt")


def test_counts_and_split(table: Suite) -> None:
    expected = {f"hwgpt/{s}-{d}-w{w}" for s in JOINED for d in ("a100", "rtx3080") for w in (0.3, 0.7, 1.5)}
    assert set(table.ids) == expected
    for s in table.summaries:
        scale = s.id.removeprefix("hwgpt/")[0]
        assert s.configurations == DISTINCT[scale]
        assert s.level == {"s": "low", "m": "medium", "l": "high"}[scale]
        assert (s.task, s.metric.direction) == ("architecture", "minimize")
    assert len({s.family for s in table.summaries}) == 6
    sizes = {s.id.removeprefix("hwgpt/")[0]: s.fidelity for s in table.summaries}
    assert [sizes[k].values["mean_parameters"] for k in "sml"] == pytest.approx([8.11e7, 1.97e8, 4.07e8], rel=2e-3)
    assert [sizes[k].cost for k in "sml"] == pytest.approx([1, 2.43, 5.01], rel=2e-3)


@pytest.mark.parametrize("scale", JOINED)
def test_every_perplexity_finds_its_timing(scale: str, raw: Callable[[str], Mapping[str, Path]]) -> None:
    joined = hwgpt.read(raw("hwgpt"), scale, "a100")
    assert len(joined) == JOINED[scale]
    assert (joined.perplexity.min(), joined.perplexity.max()) == pytest.approx(PERPLEXITY[scale], abs=5e-3)
    assert (joined.latency.min(), joined.latency.max()) == pytest.approx(LATENCY[scale], abs=0.05)
    assert len(hwgpt.distinct(joined)) == DISTINCT[scale]


def test_ranges_of_the_space_are_those_of_single_layers(table: Suite, raw: Callable[[str], Mapping[str, Path]]) -> None:
    paths = raw("hwgpt")
    for scale, (widths, layers, heads) in hwgpt.RANGES.items():
        found = hwgpt._perplexities(paths[p] for p in perplexity_files(scale))
        assert {a[0] for a in found} == set(widths)
        assert {a[1] for a in found} == set(layers)
        seen_heads = {h for a in found for h in a[2]}
        assert (min(seen_heads), max(seen_heads)) == heads
        assert {r for a in found for r in a[3]} == {2, 3, 4}
        assert {a[4] for a in found} == {False, True}
        assert all(len(a[2]) == len(a[3]) == a[1] for a in found), "padding beyond the layers does not count"
        space = table.experiment(f"hwgpt/{scale}-a100-w0.3").space
        width, early = space["embed_dim"], space["heads_early"]
        assert isinstance(width, Grid)
        assert isinstance(early, Real)
        assert list(width.levels) == list(widths)
        assert [early.low, early.high] == list(heads)
        assert [p.name for p in space.parameters if p.relative] == [
            *("embed_dim", "layers"),
            *(f"heads_{t}" for t in hwgpt.THIRDS),
        ]


def test_only_the_first_layers_of_a_list_count() -> None:
    arch = {"sample_embed_dim": 192, "sample_n_layer": 2, "sample_n_head": [4, 8, 12], "sample_mlp_ratio": [2, 3, 4]}
    assert hwgpt.architecture({**arch, "sample_bias": True}) == (192, 2, (4, 8), (2, 3), True)


def test_thirds_of_the_depth() -> None:
    eleven = (4, 4, 4, 4, 8, 8, 8, 12, 12, 12, 8)
    config = hwgpt.describe_architectures([(192, 11, eleven, tuple([2] * 10 + [4]), False)])
    assert [config[f"heads_{t}"][0] for t in hwgpt.THIRDS] == [4, 8, 11]
    assert [config[f"mlp_ratio_{t}"][0] for t in hwgpt.THIRDS] == [2, 2, 2.5]
    ten = hwgpt.describe_architectures([(192, 10, tuple(range(10)), tuple(range(10)), False)])
    assert [ten[f"heads_{t}"][0] for t in hwgpt.THIRDS] == [1, 4.5, 8]


def test_descriptions_are_distinct_and_the_first_is_kept(table: Suite) -> None:
    for scale in JOINED:
        pool = table.experiment(f"hwgpt/{scale}-a100-w0.3").pool
        rows, exact = pool.find_many(pool.columns)
        assert exact.all()
        assert (rows == np.arange(len(pool))).all(), "every row can be told"


def test_targets_are_minmax_sums(table: Suite) -> None:
    for id_ in table.ids:
        e = table.experiment(id_)
        weight = float(id_.rpartition("w")[2])
        scaled = [(d - d.min()) / (d.max() - d.min()) for d in (e.details["perplexity"], e.details["latency_ms"])]
        assert e.values == pytest.approx(scaled[0] + weight * scaled[1])
        assert f"plus {weight} times" in e.metric.about
        assert 0 < e.noise < 0.04


def test_the_best_architecture_shrinks_as_latency_weighs_more(table: Suite) -> None:
    for scale in JOINED:
        for device in hwgpt.DEVICES:
            tables = [table.experiment(f"hwgpt/{scale}-{device}-w{w}") for w in hwgpt.WEIGHTS]
            sizes = [e.details["parameters"][np.argmin(e.losses)] for e in tables]
            assert sizes[0] > sizes[2]
            assert sizes[0] >= sizes[1] >= sizes[2]


def test_descriptions_explain_what_was_measured(table: Suite) -> None:
    """The claim of the card: over 99.6% of the variance, by a linear model per width with depth and bias."""
    for scale in JOINED:
        for device in hwgpt.DEVICES:
            e = table.experiment(f"hwgpt/{scale}-{device}-w0.3")
            x = e.pool.encoded
            widths = np.stack([e.pool.columns["embed_dim"] == w for w in hwgpt.RANGES[scale][0]], axis=1)
            design = np.concatenate(
                [w[:, None] * np.concatenate([np.ones((len(x), 1)), x[:, 1:]], 1) for w in widths.T], 1
            )
            for y in (np.log(e.details["perplexity"]), e.details["latency_ms"]):
                residual = y - design @ np.linalg.lstsq(design, y)[0]
                assert 1 - residual.var() / y.var() > 0.996


def test_noise_comes_from_the_ten_timings(table: Suite, raw: Callable[[str], Mapping[str, Path]]) -> None:
    path = raw("hwgpt")["raw_results_hw/latency_a100_l/efficiency_observations_0_2500.pkl"]
    records = hwgpt._records(path)
    assert all(len(r["times_profiler_gpu"]) == 10 for r in records)
    assert all(abs(np.mean(r["times_profiler_gpu"]) - r["gpu_lat"]) < 1e-9 for r in records)
    joined = hwgpt.read(raw("hwgpt"), "l", "a100")
    expected = 1.5 * np.sqrt(joined.timing_variance.mean() / 10) / np.ptp(joined.latency)
    assert table.experiment("hwgpt/l-a100-w1.5").noise == pytest.approx(expected)


@pytest.mark.parametrize(
    ("content", "error"),
    [({"a": 1}, SourceFormatError), ([{"arch": {}}], SourceFormatError), ([{"x": 1}], SourceFormatError)],
)
def test_other_content_is_refused(content: object, error: type[Exception], tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(error):
        hwgpt._perplexities([path])
    with pytest.raises(error):
        hwgpt.join({}, [path])


def test_code_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnsafePickle):
        hwgpt._perplexities([path])


def test_rows_written_with_three_digits_are_told(
    table: Suite, told_as_written: Callable[[Experiment, Sequence[int]], bool]
) -> None:
    for id_ in (f"hwgpt/{scale}-a100-w0.3" for scale in JOINED):
        e = table.experiment(id_)
        assert told_as_written(e, range(0, len(e.pool), 7))
