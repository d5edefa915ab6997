"""The muP rule: the learning rate falls as the model widens."""

from collections.abc import Mapping

import numpy as np
import pytest

from autollmresearch.baselines.copy import CopyPolicy
from autollmresearch.baselines.mup_rule import MupRulePolicy
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

LEVELS = tuple(2.0**k for k in range(-12, 1))


def _experiment(fidelity: Mapping[str, float | str], name: str = "lr", best: float = 2.0**-5) -> Experiment:
    pool = Pool.from_configs(Space((Grid(name, LEVELS, log=True),)), [{name: v} for v in LEVELS])
    values = np.abs(np.log2(LEVELS) - np.log2(best)) - 0.1 * (np.array(LEVELS) > best)
    cost = float(next(v for v in fidelity.values() if isinstance(v, int | float)))
    metric = Metric("loss", "minimize")
    return Experiment("mup/e", "mup", "pretraining", "mup", "low", Fidelity(fidelity, cost), metric, pool, values)


@pytest.mark.parametrize(
    ("cheap", "target", "lr"),
    [
        ({"width": 64}, {"width": 256}, 2.0**-7),
        ({"d_model": 256}, {"d_model": 64}, 2.0**-3),
        ({"parameters": 1e6}, {"parameters": 16e6}, 2.0**-7),
        ({"width": 64, "parameters": 1e6}, {"width": 128, "parameters": 16e6}, 2.0**-6),
        ({"parameters": 1e6, "width": 64}, {"parameters": 16e6, "width": 128}, 2.0**-6),
    ],
)
def test_the_learning_rate_is_divided_by_how_much_wider_the_target_is(
    cheap: dict[str, float | str], target: dict[str, float | str], lr: float
) -> None:
    problem = Protocol().problems(_experiment(target), [_experiment(cheap)], 1, [0])[0]
    proposal = MupRulePolicy().propose([State(problem)])[0]
    assert proposal.config == {"lr": lr}
    assert "learning rate divided by" in proposal.reasoning


def test_the_whole_ranking_is_copied_so() -> None:
    target = _experiment({"width": 256})
    problem = Protocol().problems(target, [_experiment({"width": 64})], 3, [0])[0]
    turns = run_episodes(MupRulePolicy(), [target], [problem], [0])[0].turns
    assert [t.proposal.config for t in turns] == [{"lr": 2.0**-7}, {"lr": 2.0**-6}, {"lr": 2.0**-8}]


@pytest.mark.parametrize(
    ("name", "fidelity", "note"),
    [
        ("dropout", {"width": 64.0}, "copied: there is no learning rate to scale"),
        ("lr", {"tokens": 1e9}, "copied: no width and no number of parameters is known"),
    ],
)
def test_where_there_is_nothing_to_scale_it_copies_and_says_so(
    name: str, fidelity: dict[str, float | str], note: str
) -> None:
    larger = {k: 4 * float(v) for k, v in fidelity.items()}
    problem = Protocol().problems(_experiment(larger, name), [_experiment(fidelity, name)], 1, [0])[0]
    proposal = MupRulePolicy().propose([State(problem)])[0]
    assert proposal.config == CopyPolicy().propose([State(problem)])[0].config
    assert proposal.reasoning.endswith(note)
