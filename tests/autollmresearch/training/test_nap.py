"""NAP's training: learns to search and to predict, repeatable."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autollmresearch.baselines.cheap_gps import standardised
from autollmresearch.baselines.nap_network import look
from autollmresearch.errors import InvalidRecipe
from autollmresearch.training.curate import CurateSettings
from autollmresearch.training.games import Games, problems, read_play_recipe
from autollmresearch.training.landscapes import LandscapeSettings
from autollmresearch.training.nap import NAPRecipe, _play, _surprise, learn, nap


@pytest.fixture
def recipe(small_path: Path) -> NAPRecipe:
    return NAPRecipe(
        curate=CurateSettings((str(small_path),), budgets=(3,), protocols=("metered:5",)),
        landscapes=LandscapeSettings(kinds={"pretraining": 1.0}, parameters=(1, 2), cells=40, rows=24, cheaper=(1, 1)),
        drawn=8,
        rows=24,
        budgets=(3,),
        steps=30,
        batch=32,
        passes=2,
        width=16,
        layers=1,
        learning_rate=1e-2,
    )


@pytest.fixture
def games(recipe: NAPRecipe) -> Games:
    return Games.of(problems(recipe), recipe)


def test_it_learns_to_lose_less_than_random_search_and_to_predict(games: Games, recipe: NAPRecipe) -> None:
    network, regrets = learn(games, recipe)
    assert np.mean(regrets[-5:]) < 0.7 * np.mean(regrets[:2])
    trained = {name: torch.tensor(w) for name, w in network.items()}
    turns, _, _, buckets = _play(games, trained, recipe, 3, np.random.default_rng(1))
    wrong = float(_surprise(look(trained, *turns[2].seen, budget=3)[1], buckets, turns[2].legal))
    shares = torch.bincount(buckets[turns[2].legal]).double() / turns[2].legal.sum()
    assert wrong < float(-(shares * shares.clamp_min(1e-12).log()).sum())  # what the shares alone would say


def test_the_same_recipe_gives_the_same_file(recipe: NAPRecipe, tmp_path: Path) -> None:
    short = replace(recipe, steps=2)
    made = []
    for name in ("a", "b"):
        assert nap(short, tmp_path / name, progress=False)["counts"]["problems"] == 9  # a pair, and eight drawn
        made.append((tmp_path / name / "nap" / "nap.npz").read_bytes())
    assert made[0] == made[1]


def test_a_turn_shows_the_trials_before_it(games: Games, recipe: NAPRecipe) -> None:
    from autollmresearch.baselines.nap_network import drawn

    network = drawn(np.random.default_rng(0), 16, 1)
    turns, chosen, rewards, _ = _play(games, network, recipe, 3, np.random.default_rng(0))
    for t, turn in enumerate(turns):
        cheap, told, outcomes, cross, within = turn.seen
        assert (told == chosen[:, :t]).all()
        assert outcomes.shape == (recipe.batch, t)
        assert cross.shape == (*cheap.shape[:2], t)
        assert within.diagonal(dim1=1, dim2=2).numpy() == pytest.approx(1.0)
        assert not turn.legal.gather(1, told).any()
    assert (np.diff(rewards, axis=1) >= 0).all()


def test_losses_are_standardised_row_by_row() -> None:
    assert standardised(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist() == [[-1.0, 1.0], [0.0, 0.0]]


def test_recipes(tmp_path: Path) -> None:
    recipe = read_play_recipe(NAPRecipe, Path(__file__).parents[3] / "recipes" / "baselines" / "nap.yaml")
    assert recipe.curate.suites == ("micro", "steplaw", "hwgpt", "admire", "regmix")
    path = tmp_path / "r.yaml"
    path.write_text("width: 30")
    with pytest.raises(InvalidRecipe, match="width is a multiple of 4"):
        read_play_recipe(NAPRecipe, path)
