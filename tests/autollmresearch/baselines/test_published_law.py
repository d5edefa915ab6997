"""Published laws: their own numbers, and where they do not apply."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from autollmresearch.baselines.published_law import PublishedLawPolicy
from autollmresearch.errors import NotApplicable
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import Parameter, Real
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

ND: Mapping[str, float | str] = {"parameters": 1e9, "tokens": 1e11}


def _problem(fidelity: Mapping[str, float | str], *parameters: Parameter) -> Problem:
    space = Space(parameters)
    axes = [np.geomspace(*p.limits()[:2], 41) for p in parameters]  # type: ignore[attr-defined]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    pool = Pool.from_configs(space, [dict(zip(space.names, map(float, row), strict=True)) for row in grid])
    return Problem("pretraining", Fidelity(fidelity, 1.0), Metric("loss", "minimize"), pool, (), 2)


RATE = Real("lr", 1e-5, 1e-1, log=True)
TOKENS = Real("batch_size", 1e4, 1e8, log=True, unit="tokens")


@pytest.mark.parametrize(
    ("law", "lr", "tokens"),
    [
        ("step-law", 1.62e-3, 1.11e6),  # 1.79 * 1e9^-.713 * 1e11^.307 and .58 * 1e11^.571
        ("deepseek", 7.86e-4, 1.84e6),  # .3118 * 6e20^-.125 and .292 * 6e20^.3271
    ],
)
def test_a_law_says_its_learning_rate_and_its_batch(law: str, lr: float, tokens: float) -> None:
    config = PublishedLawPolicy(law).propose([State(_problem(ND, RATE, TOKENS))])[0].config
    assert not isinstance(config, str)
    assert config["lr"] == pytest.approx(lr, rel=0.13)  # half a step of the grid
    assert config["batch_size"] == pytest.approx(tokens, rel=0.13)


def test_a_batch_in_sequences_is_counted_in_tokens() -> None:
    sequences = Real("batch_size", 1e4 / 2048, 1e8 / 2048, log=True, unit="sequences of 2048 tokens")
    config = PublishedLawPolicy("step-law").propose([State(_problem(ND, RATE, sequences))])[0].config
    assert config["batch_size"] == pytest.approx(1.11e6 / 2048, rel=0.13)  # type: ignore[index]


def test_after_it_comes_what_lies_nearest(state_at: Callable[..., State]) -> None:
    problem = _problem(ND, RATE, TOKENS)
    policy = PublishedLawPolicy("step-law")
    first = policy.propose([State(problem)])[0].config
    target = Experiment(
        "e/e", "e", "pretraining", "e", "high", problem.fidelity, problem.metric, problem.pool, np.zeros(41 * 41)
    )
    second = policy.propose([State(problem, (target.tell(first),))])[0].config
    step = np.square(problem.space.encode(first) - problem.space.encode(second)).sum()  # type: ignore[arg-type]
    assert 0 < step <= 2 * (1 / 40) ** 2 + 1e-9


@pytest.mark.parametrize(
    ("fidelity", "parameters", "reason"),
    [
        (ND, (RATE,), "a learning rate and a batch size; this space has lr"),
        (ND, (RATE, TOKENS, Real("dropout", 0.1, 0.5)), "this space has lr, batch_size, dropout"),
        (ND, (RATE, Real("batch_size", 8, 16, log=True)), "how many one unit of batch_size is, is unknown"),
        ({"parameters": 1e9}, (RATE, TOKENS), "needs parameters and tokens; this fidelity has parameters"),
        ({"parameters": 1e9, "steps": 1e4}, (RATE, TOKENS), "this fidelity has parameters, steps"),
    ],
)
def test_where_it_says_nothing_it_is_not_applicable(
    fidelity: Mapping[str, float | str], parameters: tuple[Parameter, ...], reason: str
) -> None:
    with pytest.raises(NotApplicable, match=reason):
        PublishedLawPolicy("step-law").propose([State(_problem(fidelity, *parameters))])
