"""MetaBO's training: learns to search, repeatable, and never opens a high experiment."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autollmresearch.baselines import metabo as policy
from autollmresearch.errors import InvalidRecipe, LockedExperiment, StepProblem
from autollmresearch.training.curate import CurateSettings
from autollmresearch.training.games import Games, advantages, problems, read_play_recipe
from autollmresearch.training.landscapes import LandscapeSettings
from autollmresearch.training.metabo import MetaBORecipe, _play, _scores, learn, metabo


@pytest.fixture
def recipe(small_path: Path) -> MetaBORecipe:
    return MetaBORecipe(
        curate=CurateSettings((str(small_path),), budgets=(3,), protocols=("metered:5",)),
        landscapes=LandscapeSettings(kinds={"pretraining": 1.0}, parameters=(1, 2), cells=40, rows=24, cheaper=(1, 1)),
        drawn=8,
        rows=24,
        budgets=(3,),
        steps=40,
        batch=32,
        hidden=(16,),
    )


@pytest.fixture
def games(recipe: MetaBORecipe) -> Games:
    return Games.of(problems(recipe), recipe)


def test_it_learns_to_lose_less_than_random_search(games: Games, recipe: MetaBORecipe) -> None:
    _, regrets = learn(games, recipe)
    assert np.mean(regrets[-5:]) < 0.6 * np.mean(regrets[:2])


def test_the_trained_network_is_what_the_method_reads_and_the_same_again(
    recipe: MetaBORecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(recipe, steps=2)
    made = []
    for name in ("a", "b"):
        manifest = metabo(short, tmp_path / name, progress=False)
        assert manifest["counts"]["problems"] == 9  # a pair, and eight drawn
        made.append((tmp_path / name / "metabo" / "metabo.npz").read_bytes())
    assert made[0] == made[1]
    monkeypatch.setattr(policy, "CHECKPOINT", tmp_path / "a" / "metabo" / "metabo.npz")
    network = policy._shipped.__wrapped__()
    seen = np.random.default_rng(0).random((5, policy.FEATURES))
    weights = [torch.tensor(network[f"{kind}{i}"]) for i in range(2) for kind in "wb"]
    expected = _scores(weights, torch.tensor(seen, dtype=torch.float32)).numpy()
    assert policy.score(network, seen) == pytest.approx(expected, abs=1e-5)


def test_play_never_repeats_a_row_and_never_takes_one_that_only_fills_up(games: Games, recipe: MetaBORecipe) -> None:
    weights = [torch.zeros(policy.FEATURES, 1), torch.zeros(1)]
    padded = replace(games, losses=np.where(np.arange(24) < 5, games.losses, np.inf))
    _, legal, chosen, rewards = _play(padded, weights, recipe, np.random.default_rng(0))
    assert legal.sum(-1).tolist() == [[5, 4, 3]] * recipe.batch
    assert chosen.max() < 5
    assert all(len(set(row)) == 3 for row in chosen.tolist())
    assert (np.diff(rewards, axis=1) >= 0).all()
    assert (rewards <= 0).all()


def test_advantages_are_discounted_and_centred_at_every_turn() -> None:
    found = advantages(np.array([[0.0, 1.0], [0.0, 0.0]]), 0.5)
    assert found.sum(axis=0) == pytest.approx([0.0, 0.0])
    assert found[0, 0] == pytest.approx(found[0, 1] / 2)


def test_a_high_experiment_is_refused(recipe: MetaBORecipe, small_path: Path, tmp_path: Path) -> None:
    curate = replace(recipe.curate, targets=(f"{small_path}/dense-1e08",))
    with pytest.raises(LockedExperiment, match="dense-1e08 is a high-fidelity experiment"):
        metabo(replace(recipe, curate=curate), tmp_path, progress=False)


def test_problems_too_small_for_an_episode_are_left_out(recipe: MetaBORecipe) -> None:
    known = list(problems(recipe))
    long = replace(recipe, rows=200, budgets=(3, 150))
    with pytest.raises(StepProblem, match="no problem has more than 150 configurations"):
        Games.of(known, long)


def test_a_recipe_with_a_wrong_key_or_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    for text, message in (("rows: 3", "rows is more than every budget"), ("step: 3", "did you mean 'steps'")):
        path.write_text(text)
        with pytest.raises(InvalidRecipe, match=message):
            read_play_recipe(MetaBORecipe, path)


def test_the_recipe_of_the_repository_is_one() -> None:
    recipe = read_play_recipe(MetaBORecipe, Path(__file__).parents[3] / "recipes" / "baselines" / "metabo.yaml")
    assert recipe.curate.suites == ("micro", "steplaw", "hwgpt", "admire", "regmix")
