"""Recipes: those of the repository can be run, say what every field is for, and a wrong one is one line."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from autollmresearch.errors import InvalidRecipe
from autollmresearch.training.recipe import Recipe, read_recipe

RECIPES = sorted((Path(__file__).parents[3] / "recipes").glob("*.yaml"))


def names(settings: Any) -> dict[str, Any]:
    """All fields of a recipe as nested names."""
    return {
        f.name: names(value) if is_dataclass(value := getattr(settings, f.name)) else None for f in fields(settings)
    }


def keys(data: Any) -> dict[str, Any]:
    """The same of a file; what a mapping of names to numbers holds is a value."""
    return {k: keys(v) if isinstance(v, dict) and k != "kinds" else None for k, v in data.items()}


def test_there_are_five() -> None:
    names = ["cpu-mini.yaml", "cpu-smoke.yaml", "gpu-small.yaml", "qwen3-4b.yaml", "researcher-mini.yaml"]
    assert [p.name for p in RECIPES] == names


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_every_recipe_can_be_read_and_every_line_is_explained(path: Path) -> None:
    assert isinstance(read_recipe(path), Recipe)
    for line in path.read_text().splitlines():
        holds_value = re.match(r" *[a-z_]+: \S", line) and not re.match(r" *[a-z_]+:  #", line)
        assert not holds_value or "  # " in line, line


def test_one_of_them_names_every_field() -> None:
    (mini,) = [p for p in RECIPES if p.name == "cpu-mini.yaml"]
    assert keys(yaml.safe_load(mini.read_text())) == names(Recipe())


def test_an_empty_recipe_has_the_paper_s_numbers(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("seed: 3\n")
    recipe = read_recipe(tmp_path / "r.yaml")
    assert recipe == Recipe(seed=3)
    assert (recipe.simulate.rollouts, recipe.simulate.temperature) == (20, 0.8)
    assert recipe.style is recipe.agent.style


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("curat: {}", r"r.yaml: did you mean 'curate'\?"),
        ("agent: {style: {tops: 3}}", r"r.yaml: agent.style has no 'tops'; did you mean 'top'\?"),
        ("simulate: {temperature: 0}", "r.yaml: simulate: temperature is more than 0: rollouts must differ; found 0"),
        ("model: {dtype: float16}", "r.yaml: model.dtype is float32 or bfloat16; found 'float16'"),
        ("- 1", "r.yaml: a recipe maps its keys to values"),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_the_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InvalidRecipe, match=message):
        read_recipe(tmp_path / "r.yaml")
    with pytest.raises(InvalidRecipe, match="cannot be read: No such file"):
        read_recipe(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: -1", "seed is at least 0"),
        ("model: {context: 1024}", "agent.context is at most model.context, 1024; found 8192"),
        ("reinforce: {episode_tokens: 300}", "episode_tokens is at least agent.context, 8192; found 300"),
    ],
)
def test_sections_that_contradict_each_other_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InvalidRecipe, match=message):
        read_recipe(tmp_path / "r.yaml")
