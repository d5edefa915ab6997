"""The prior: rows that depend on nothing but settings and seed, and a checkpoint that is an agent."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autollmresearch.dialogue import Style
from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy
from autollmresearch.policies.chat import Chat
from autollmresearch.training.evaluate import evaluate
from autollmresearch.training.expert import ExpertSettings
from autollmresearch.training.landscapes import LandscapeSettings
from autollmresearch.training.prior import Hidden, PriorSettings, episode, make_rows, prior
from autollmresearch.training.recipe import Recipe
from autollmresearch.training.scratch import ModelSettings
from autollmresearch.training.sft import SftSettings

LANDSCAPES = LandscapeSettings(
    kinds={"pretraining": 1.0},
    parameters=(1, 1),
    levels=(4, 5),
    round_numbers=1.0,
    cheaper=(1, 1),
    metered=0.0,
    budgets=(1, 2),
    details=0.0,
)
RECIPE = Recipe(
    seed=3,
    model=ModelSettings(layers=1, width=32, heads=2, key_heads=2, mlp=64, vocabulary=768, context=512),
    agent=AgentSettings(Style(top=2), max_new_tokens=24, context=512),
    prior=PriorSettings(
        episodes=48,
        shard=20,
        texts=48,
        landscapes=LANDSCAPES,
        expert=ExpertSettings(stumble=0.5),
        sft=SftSettings(batch_size=8, log_every=2, save_every=100),
    ),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose prior is learned."""
    path = tmp_path_factory.mktemp("run")
    prior(RECIPE, path, progress=False)
    return path


def shards(run: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((run / "prior" / "rows").glob("*"))}


def test_manifest_and_files(run: Path) -> None:
    manifest = json.loads((run / "prior" / "manifest.json").read_text())
    assert manifest["counts"]["episodes"] == 48
    assert manifest["counts"]["rows"] == 48
    assert manifest["counts"]["updates"] == 6
    assert manifest["settings"]["prior"]["landscapes"]["parameters"] == [1, 1]
    assert list(shards(run)) == ["00000.arrow", "00001.arrow", "00002.arrow"]
    names = {p.name for p in (run / "prior" / "checkpoint").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "agent.json"} <= names


def test_the_checkpoint_is_an_agent(run: Path) -> None:
    policy = CausalLMPolicy.load(str(run / "prior" / "checkpoint"), device="cpu")
    assert policy.settings == RECIPE.agent
    assert evaluate(policy, LANDSCAPES, range(4), budget=2).episodes == 4


def test_a_row_is_its_episode(run: Path) -> None:
    from transformers import AutoTokenizer

    chat = Chat(AutoTokenizer.from_pretrained(run / "prior" / "checkpoint"))
    rows = make_rows(RECIPE.prior, RECIPE.style, run / "prior", RECIPE.seed, progress=False)
    assert len(rows) == 48
    stumbled = 0
    for index in (0, 19, 20, 47):
        messages, learned = episode(RECIPE.prior, RECIPE.style, RECIPE.seed, index)
        row: Any = rows[index]
        expected = chat.encode(messages, learned)
        assert row["input_ids"] == expected.ids
        assert row["assistant_masks"] == expected.own
        own = [i for i, mine in zip(expected.ids, expected.own, strict=True) if mine]
        answers = [m["content"] for m, mine in zip(messages[1::2], learned, strict=True) if mine]
        assert own == [i for a in answers for i in chat.words(a)]
    for index in range(48):
        stumbled += episode(RECIPE.prior, RECIPE.style, RECIPE.seed, index)[1].count(False)
    assert stumbled


def test_rows_go_on_where_they_stopped_and_workers_change_nothing(run: Path, tmp_path: Path) -> None:
    import shutil

    whole = shards(run)
    shutil.copytree(run / "prior" / "tokenizer", tmp_path / "tokenizer")
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "00001.arrow").write_bytes(whole["00001.arrow"])
    kept = (tmp_path / "rows" / "00001.arrow").stat().st_mtime_ns
    make_rows(replace(RECIPE.prior, workers=2), RECIPE.style, tmp_path, RECIPE.seed, progress=False)
    made = {p.name: p.read_bytes() for p in sorted((tmp_path / "rows").glob("*"))}
    assert made == whole
    assert (tmp_path / "rows" / "00001.arrow").stat().st_mtime_ns == kept


def test_other_seeds_give_other_rows() -> None:
    one, other, later = (episode(RECIPE.prior, RECIPE.style, *which) for which in ((3, 0), (4, 0), (3, 1)))
    assert one == episode(RECIPE.prior, RECIPE.style, 3, 0)
    assert one != other
    assert one != later


def test_a_model_that_exists_keeps_its_tokenizer(run: Path, tmp_path: Path) -> None:
    before = run / "prior" / "checkpoint"
    settings = replace(RECIPE.prior, episodes=24)
    prior(replace(RECIPE, model=ModelSettings(path=str(before)), prior=settings), tmp_path, progress=False)
    after = tmp_path / "prior" / "checkpoint"
    assert (after / "tokenizer.json").read_bytes() == (before / "tokenizer.json").read_bytes()
    assert (after / "model.safetensors").read_bytes() != (before / "model.safetensors").read_bytes()


def test_some_episodes_hide_what_others_show() -> None:
    landscapes = LandscapeSettings(metered=0.0, cheaper=(2, 2), kinds={"pretraining": 1.0})
    settings = PriorSettings(hidden=Hidden(evidence=0.3, demonstrations=0.3, fidelity=0.3), landscapes=landscapes)
    texts = [episode(settings, Style(evidence=True), 0, i)[0][0]["content"] for i in range(120)]
    shows = {word: [word in t for t in texts] for word in ("Evidence:", "Target:", "Best 5 of")}
    assert 0.35 < np.mean(shows["Evidence:"]) < 0.63, "hidden in 30 %, and with the fidelity in another 21 %"
    assert 0.58 < np.mean(shows["Target:"]) < 0.82
    assert 0.4 < np.mean(shows["Best 5 of"]) < 0.85, "a small table has fewer than five"
    assert not any(e and not f for e, f in zip(shows["Evidence:"], shows["Target:"], strict=True))
    assert episode(settings, Style(evidence=True), 0, 3)[0][0]["content"] == texts[3]
    everything = [episode(PriorSettings(landscapes=landscapes), Style(), 0, i)[0][0]["content"] for i in range(5)]
    assert all("Target:" in t and "Evidence:" not in t for t in everything)
