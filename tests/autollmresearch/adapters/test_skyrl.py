"""The SkyRL-Gym environment: registered, made from a row, summed up; what may not be trained on."""

from __future__ import annotations

import pytest
import skyrl_gym

from autollmresearch.adapters.skyrl import ENV_ID, DialogueTextEnv, dataset_rows
from autollmresearch.errors import LockedExperiment


def test_skyrl_makes_one_from_a_row_of_the_data_set() -> None:
    row = next(r for r in dataset_rows(seeds=1, budget=2) if r["experiment"] == "micro/N25k-D1M")
    env = skyrl_gym.make(row["env_class"], env_config={}, extras={**row, "max_turns": 9})
    assert env.spec.to_json() != ""
    messages, _ = env.init(row["prompt"])
    assert messages == row["prompt"]
    assert env.max_turns == 2
    assert not env.step("nothing")["done"]
    assert env.step('{"lr": 0.0078, "batch_size": 4}')["done"]
    assert env.get_metrics() == {"valid": 0.5}
    assert DialogueTextEnv.aggregate_metrics([{"valid": 0.5}, {"valid": 1.0}]) == {"valid": 0.75}


def test_high_experiments_are_refused() -> None:
    with pytest.raises(LockedExperiment):
        skyrl_gym.make(ENV_ID, extras={"experiment": "micro/N98k-D1M", "seed": 0})
