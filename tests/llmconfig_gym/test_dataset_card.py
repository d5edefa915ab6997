"""A suite's folder as a Hugging Face data set: read by their own libraries, and still the same suite."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.catalog import load_suite
from llmconfig_gym.cli.main import main
from llmconfig_gym.dataset_card import render, save_dataset
from llmconfig_gym.errors import SuiteFormatError
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Card, Suite

CARD = Card("A suite: 4 tables", "MIT, as upstream", "Nobody: Nothing", "https://example.org", "tests/1", ("größer",))


@pytest.fixture(scope="module")
def suite(experiments: Mapping[str, Experiment]) -> Suite:
    return Suite.of("test", CARD, experiments.values())


@pytest.fixture(scope="module")
def folder(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub") / "test"
    save_dataset(suite, root)
    return root


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Their caches in a place of the test's own, and no hub."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
            patch.setenv(variable, "1")
        yield tmp_path_factory.mktemp("datasets")


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_the_folder_is_the_suite_and_a_card_byte_for_byte(suite: Suite, folder: Path, tmp_path: Path) -> None:
    suite.save(tmp_path / "test")
    plain, exported = files(tmp_path / "test"), files(folder)
    assert set(exported) == {*plain, "README.md"}
    assert all(exported[name] == content for name, content in plain.items())
    save_dataset(load_suite(str(folder)), tmp_path / "again")
    assert files(tmp_path / "again") == exported


def test_the_hub_library_reads_the_cards_front_matter(folder: Path) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(folder / "README.md")
    data = card.data.to_dict()
    assert (data["license"], data["size_categories"]) == ("mit", ["n<1K"])
    assert data["pretty_name"] == CARD.title
    assert [c["config_name"] for c in data["configs"]] == [i["config_name"] for i in data["dataset_info"]]
    features = {f["name"]: f["dtype"] for f in data["dataset_info"][0]["features"]}
    assert features["value"] == "float64"
    for said in (CARD.licence, CARD.citation, CARD.url, CARD.maker, *CARD.notes):
        assert said in card.text


def test_their_loader_gives_every_table_as_it_is(suite: Suite, folder: Path, offline: Path) -> None:
    from datasets import get_dataset_config_names, load_dataset

    assert get_dataset_config_names(str(folder)) == [i.partition("/")[2] for i in suite.ids]
    for id_ in suite.ids:
        e = suite.experiment(id_)
        table = load_dataset(str(folder), id_.partition("/")[2], split="train", cache_dir=str(offline))
        frame = table.to_pandas()
        assert np.array_equal(frame["value"].to_numpy(dtype=np.float64), e.values, equal_nan=True)
        single = [n for n in e.space.names if f"config.{n}" in frame]
        assert single or e.task == "mixture"
        assert all(frame[f"config.{n}"].tolist() == e.pool.columns[n].tolist() for n in single)


def test_the_cards_own_snippet_runs_in_the_folder(folder: Path, offline: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    code += "\nprint(len(table))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first = Suite.load(folder).summaries[0]
    assert done.stdout.strip() == str(first.configurations)


@pytest.mark.parametrize(
    ("said", "identifier"),
    [
        ("Apache-2.0, as the project", "apache-2.0"),
        ("CC BY-NC-SA 4.0 (non-commercial, share alike)", "cc-by-nc-sa-4.0"),
        ("none stated by the repository", "other"),
        ("MIT-like, but not it", "other"),
        ("", "unknown"),
    ],
)
def test_a_licence_is_named_only_where_it_is_one(
    said: str, identifier: str, experiments: Mapping[str, Experiment], tmp_path: Path
) -> None:
    save_dataset(Suite.of("test", Card("t", said), experiments.values()), tmp_path / "t")
    text = (tmp_path / "t/README.md").read_text(encoding="utf-8")
    assert f"\nlicense: {identifier}\n" in text
    assert f"Licence: {said or 'none is stated'}" in text


def test_words_of_the_suite_cannot_break_out_of_the_card(experiments: Mapping[str, Experiment], tmp_path: Path) -> None:
    from huggingface_hub import DatasetCard

    hostile = Card("a: [b\n---\nlicense: cc0-1.0\n---", "x | y\n---")
    save_dataset(Suite.of("test", hostile, experiments.values()), tmp_path / "t")
    data = DatasetCard.load(tmp_path / "t/README.md").data.to_dict()
    assert (data["pretty_name"], data["license"]) == (hostile.title, "other")


def test_only_such_a_folder_is_replaced(suite: Suite, folder: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(folder, tmp_path / "mine"))
    with pytest.raises(SuiteFormatError, match="exists already"):
        save_dataset(suite, mine)
    (mine / "README.md").unlink()
    save_dataset(suite, mine, replace=True)
    assert files(mine) == files(folder)
    (mine / ".git").mkdir()
    with pytest.raises(SuiteFormatError, match=r"also holds \.git"):
        save_dataset(suite, mine, replace=True)
    (tmp_path / "link").symlink_to(mine)
    with pytest.raises(SuiteFormatError, match="is a link"):
        save_dataset(suite, tmp_path / "link", replace=True)


def test_files_that_are_links_out_of_the_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(folder, tmp_path / "mine"))
    table = mine / "tables/pretraining.parquet"
    table.unlink()
    table.symlink_to(folder / "tables/pretraining.parquet")
    with pytest.raises(SuiteFormatError, match="leads out of the suite"):
        Suite.load(mine).experiment("test/pretraining")
    (mine / "suite.json").unlink()
    (mine / "suite.json").symlink_to(folder / "suite.json")
    with pytest.raises(SuiteFormatError, match="leads out of the suite"):
        load_suite(str(mine))
    (tmp_path / "link").symlink_to(folder)  # the folder itself may be reached in any way
    assert Suite.load(tmp_path / "link").experiment("test/pretraining").id == "test/pretraining"


def test_the_command_writes_it_and_says_the_terms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "micro"
    assert main(["export", "micro", "--to", "hf", "--out", str(out)]) == 0
    assert "licence: Apache-2.0" in capsys.readouterr().err
    assert main(["list", str(out)]) == 0
    assert "micro/N98k-D1M" in capsys.readouterr().out
    assert main(["export", "micro", "--to", "hf", "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    suite = load_suite("micro")
    assert [s.digest for s in load_suite(str(out)).summaries] == [s.digest for s in suite.summaries]
    assert render(suite, out) == (out / "README.md").read_text(encoding="utf-8")
