"""Pretraining mixtures: row counts, the two index bases, the join, the fixed weightings."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.errors import SourceFormatError
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.sources import regmix
from llmconfig_gym.sources.tables import read_csv, stack
from llmconfig_gym.suite import Suite

SCALES = {"1M": (768, "low"), "60M": (256, "medium"), "1B": (64, "high")}
FAMILIES = ("average", *(f"weighting-{i}" for i in range(1, 7)))


@pytest.fixture(scope="module")
def table(suite: Callable[[str], Suite]) -> Suite:
    return suite("regmix")


def test_counts_and_split(table: Suite) -> None:
    assert set(table.ids) == {f"regmix/{scale}-{family}" for scale in SCALES for family in FAMILIES}
    for s in table.summaries:
        scale = s.id.removeprefix("regmix/").split("-")[0]
        assert (s.configurations, s.level) == SCALES[scale]
        assert (s.task, s.metric.direction) == ("mixture", "minimize")
    costs = {s.level: s.fidelity.cost for s in table.summaries}
    assert costs == pytest.approx({"low": 6e15, "medium": 3.6e17, "high": 1.5e20})


def test_mixtures(table: Suite) -> None:
    sets = {}
    for scale in SCALES:
        weights = table.experiment(f"regmix/{scale}-average").pool.columns["weights"]
        assert weights.shape == (SCALES[scale][0], 17)
        sums = weights.sum(axis=1)
        assert sums.min() >= 0.996 - 1e-9
        assert sums.max() <= 1.003 + 1e-9
        sets[scale] = {tuple(w) for w in weights.round(3).tolist()}
    assert sets["60M"] < sets["1M"]
    assert not sets["1B"] & (sets["1M"] | sets["60M"])


def test_index_bases_and_row_order(table: Suite, raw: Callable[[str], Mapping[str, Path]]) -> None:
    paths = raw("regmix")
    for name, first in (("test_{}_1B", 0), ("train_{}_1m", 1), ("test_{}_1m", 1), ("test_{}_60m", 1)):
        for kind in ("mixture", "pile_loss"):
            index = read_csv(paths[f"data/{name.format(kind)}.csv"], ["index"])["index"]
            assert index.tolist() == list(range(first, first + len(index)))
    losses = read_csv(paths["data/test_pile_loss_1B.csv"], [f"metric/the_pile_{k}_val_loss" for k in regmix.MEASURED])
    assert table.experiment("regmix/1B-average").values == pytest.approx(stack(losses, list(losses)).mean(axis=1))
    arxiv = table.experiment("regmix/1M-average").details["loss_science_preprints"]
    assert arxiv[0] == 7.0255866050720215, "the train runs come first"
    assert arxiv[512] == 4.409877777099609, "then the test runs"


def test_losses_are_joined_by_index(tmp_path: Path) -> None:
    shares = ",".join(f"train_the_pile_{k}" for k in regmix.DOMAINS)
    losses = ",".join(f"metric/the_pile_{k}_val_loss" for k in regmix.MEASURED)
    (tmp_path / "m.csv").write_text(f"index,{shares}\n" + "".join(f"{i},{','.join(['0'] * 16)},1\n" for i in (1, 2)))
    (tmp_path / "l.csv").write_text(f"index,{losses}\n" + "".join(f"{i}{f',{i}.5' * 13}\n" for i in (2, 1)))
    _, found = regmix._read(tmp_path / "m.csv", tmp_path / "l.csv")
    assert found[:, 0].tolist() == [1.5, 2.5]
    (tmp_path / "l.csv").write_text(f"index,{losses}\n0{',1' * 13}\n1{',1' * 13}\n")
    with pytest.raises(SourceFormatError, match="different runs"):
        regmix._read(tmp_path / "m.csv", tmp_path / "l.csv")


def test_weightings_are_the_documented_draw(table: Suite) -> None:
    draws = np.random.RandomState(0).dirichlet(np.ones(13), size=6) * 100
    for draw, percent in zip(draws, regmix.WEIGHTINGS, strict=True):
        rounded = np.floor(draw).astype(int)
        rounded[np.argsort(rounded - draw)[: 100 - rounded.sum()]] += 1
        assert rounded.tolist() == list(percent)
        assert sum(percent) == 100


def test_weighted_values(table: Suite) -> None:
    e = table.experiment("regmix/1B-weighting-3")
    told = sum(
        percent / 100 * e.details[f"loss_{regmix.DOMAINS[k]}"]
        for k, percent in zip(regmix.MEASURED, regmix.WEIGHTINGS[2], strict=True)
    )
    assert e.values == pytest.approx(told)
    assert "court_opinions 22%" in e.metric.about
    assert np.isnan(e.noise)


def test_rows_written_with_three_digits_are_told(
    table: Suite, told_as_written: Callable[[Experiment, Sequence[int]], bool]
) -> None:
    for id_ in (f"regmix/{scale}-average" for scale in SCALES):
        e = table.experiment(id_)
        assert told_as_written(e, range(len(e.pool)))
