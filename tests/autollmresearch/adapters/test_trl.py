"""TRL's `environment_factory`: the data set, the one tool, and what may not be trained on.

That `GRPOTrainer` takes the environment and plays it is test_same_episode.py's.
"""

from __future__ import annotations

import pytest
from transformers.utils import get_json_schema

from autollmresearch.adapters.trl import DialogueTools, dataset
from autollmresearch.errors import LockedExperiment
from llmconfig_gym.catalog import load_suite
from llmconfig_gym.errors import EpisodeOver


def test_rows_are_of_medium_targets_alone() -> None:
    rows = dataset(seeds=2)
    levels = {load_suite("micro").summary(r["experiment"]).level for r in rows}
    assert levels == {"medium"}
    assert len(rows) == 2 * len({r["experiment"] for r in rows})


def test_the_tool_is_described_to_the_model() -> None:
    described = get_json_schema(DialogueTools().answer)["function"]
    assert described["name"] == "answer"
    assert described["parameters"]["required"] == ["text"]
    assert "Costs one trial" in described["description"]


def test_an_object_plays_one_episode_after_the_other() -> None:
    tools = DialogueTools(budget=1)
    first = tools.reset(experiment="micro/N25k-D1M", seed=3, prompt="ignored")
    assert tools.answer('{"lr": 0.0078, "batch_size": 4}').endswith("0 trials left.")
    earned = tools.get_reward()
    assert 0 < earned <= 1
    assert "over budget" in tools.answer('{"lr": 0.0078, "batch_size": 8}')
    assert tools.get_reward() == earned
    assert tools.reset(experiment="micro/N25k-D1M", seed=3) == first
    assert tools.get_reward() == 0


def test_high_experiments_are_refused_and_a_call_out_of_turn_says_so() -> None:
    with pytest.raises(LockedExperiment):
        DialogueTools().reset(experiment="micro/N98k-D1M", seed=0)
    with pytest.raises(EpisodeOver):
        DialogueTools().answer("{}")
