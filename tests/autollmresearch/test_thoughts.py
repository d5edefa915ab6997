"""Thoughts: short, and true by the numbers that were read."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.dialogue import Style, candidates, conversation, prompt, values
from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.policy import State
from autollmresearch.thoughts import NUMBER, contradictions, quoted, thought
from autollmresearch.training.landscapes import LandscapeSettings, landscape
from llmconfig_gym.experiment import Experiment, Fidelity, Metric, Outcome
from llmconfig_gym.parameter import Categorical, Grid, Parameter, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Config, Space

LR = Grid("lr", (1e-3, 2e-3, 4e-3, 8e-3), log=True)
BATCH = Grid("batch_size", (16, 32, 64))


def problem(parameters: Sequence[Parameter], *cheaper: tuple[float, Config]) -> Problem:
    """A problem at 1e9 tokens of which one run at each of some numbers of tokens is known."""
    space = Space(tuple(parameters))
    runs = [
        CheapRuns(Fidelity({"parameters": 1e6, "tokens": d}, d), Pool.from_configs(space, [c]), np.array([2.0]), {})
        for d, c in cheaper
    ]
    pool = Pool.from_configs(space, [c for _, c in cheaper] or [space.decode(np.zeros(space.width))])
    return Problem("pretraining", Fidelity({"tokens": 1e9}, 1e9), Metric("loss", "minimize"), pool, tuple(runs), 5)


def test_two_scales() -> None:
    p = problem([LR, BATCH], (1e7, {"lr": 8e-3, "batch_size": 32}), (1e8, {"lr": 4e-3, "batch_size": 32}))
    said = "From tokens 1.0e7 to 1.0e8 the best lr fell from 8.0e-3 to 4.0e-3: "
    assert thought(State(p), {"lr": 2e-3, "batch_size": 64}) == (
        f"{said}lower, 2.0e-3; batch_size stayed 32: higher, 64."
    )
    assert thought(State(p), {"lr": 4e-3, "batch_size": 32}) == f"{said}keep; batch_size stayed 32: keep."


def test_one_scale() -> None:
    p = problem([LR], (1e7, {"lr": 8e-3}))
    assert thought(State(p), {"lr": 2e-3}) == "At parameters 1.0e6 the best run had lr 8.0e-3: lower, 2.0e-3."


def test_a_trial() -> None:
    p = problem([LR], (1e7, {"lr": 8e-3}))
    worse, better = (Outcome("measured", {"lr": v}, value) for v, value in ((1e-3, 2.5), (2e-3, 2.25)))
    said = "Best so far is trial 2, 2.25, with lr 2.0e-3: higher, 4.0e-3."
    assert thought(State(p, (worse, better)), {"lr": 4e-3}) == said
    maximised = replace(p, metric=Metric("score", "maximize"))
    said = "Best so far is trial 1, 2.5, with lr 1.0e-3: keep."
    assert thought(State(maximised, (worse, better)), {"lr": 1e-3}) == said


def test_trials_without_a_value() -> None:
    p = problem([LR], (1e7, {"lr": 8e-3}))
    lost = Outcome("measured", {"lr": 1e-3}, None)
    said = thought(State(p, (lost,)), {"lr": 2e-3})
    assert said == "That gave no value. At parameters 1.0e6 the best run had lr 8.0e-3: lower, 2.0e-3."


def test_nothing_known() -> None:
    assert thought(State(problem([LR])), {"lr": 2e-3}) == "Nothing cheaper is known: a guess."


def test_words_and_shares() -> None:
    bias = Categorical("bias", (True, False))
    p = problem([bias], (1e7, {"bias": True}), (1e8, {"bias": False}))
    said = "From tokens 1.0e7 to 1.0e8 the best bias went from true to false: change to true."
    assert thought(State(p), {"bias": True}) == said
    shares = Simplex("weights", ("code", "books", "web", "math"))
    old, near = ({"code": 0.5, "books": 0.5}, {"code": 0.25, "books": 0.5, "web": 0.25})
    p = problem([shares], (1e8, {"weights": dict.fromkeys(shares.components, 0.0) | near}))
    choice = {"weights": {"code": 0.0, "books": 0.5, "web": 0.3, "math": 0.2}}
    said = "the best run had code 0.25: lower, none; web 0.25: higher, 0.3; math none: higher, 0.2."
    assert thought(State(p), choice).endswith(said)
    assert "none" not in str(old)


def test_of_many_settings_those_that_change() -> None:
    many = [Grid(f"p{c}", (1, 2, 3)) for c in "abcdef"]
    p = problem(many, (1e8, {g.name: 1 for g in many}))
    said = thought(State(p), {g.name: 1 + (g.name in ("pc", "pf")) for g in many})
    assert said == "At parameters 1.0e6 the best run had pa 1: keep; pb 1: keep; pc 1: higher, 2; pf 1: higher, 2."


def test_a_candidate_of_the_evidence() -> None:
    p = problem([LR], (1e7, {"lr": 8e-3}), (1e8, {"lr": 4e-3}))
    p = replace(p, pool=Pool.from_configs(p.space, [{"lr": v} for v in LR.levels]))
    style = Style(evidence=True, candidates=2)
    text = prompt(p, style)
    for i, candidate in enumerate(candidates(State(p), style), start=1):
        expected = f"{candidate.mean} +- {candidate.sd}"
        assert f"{i}. {values(candidate.config)}: {expected}" in text
        said = thought(State(p), candidate.config, style)
        assert said.startswith(f"Candidate {i} is expected at {expected}. From tokens 1.0e7 to 1.0e8 the best lr fell")
        assert said.endswith(thought(State(p), candidate.config))
        assert str(i) not in quoted(said)[:1]
    shown = [c.config for c in candidates(State(p), style)]
    other = next(c for c in ({"lr": v} for v in LR.levels) if c not in shown)
    assert thought(State(p), other, style).startswith("None of the candidates. From tokens")


def test_without_fidelity_none_is_named() -> None:
    p = problem([LR], (1e7, {"lr": 8e-3}), (1e8, {"lr": 4e-3}))
    style = Style(fidelity=False)
    said = thought(State(p), {"lr": 2e-3}, style)
    assert said == "From the cheapest to the dearest the best lr fell from 8.0e-3 to 4.0e-3: lower, 2.0e-3."
    assert thought(State(replace(p, cheaper=p.cheaper[:1])), {"lr": 2e-3}, style) == (
        "The best run had lr 8.0e-3: lower, 2.0e-3."
    )
    for word in ("1.0e7", "1.0e8", "1.0e9", "1.0e6", "Target:"):
        assert word in prompt(p)
        assert word not in prompt(p, style)


def test_what_a_checker_finds() -> None:
    assert contradictions("lr rose from 4.0e-3 to 2.0e-3: lower, 1.0e-3") == ["rose from 4.0e-3 to 2.0e-3"]
    assert contradictions("lr stayed 2.0e-3: higher, 1.0e-3.") == ["2.0e-3: higher, 1.0e-3"]
    assert contradictions("web none: lower, 0.3.") == ["none: lower, 0.3"]
    assert contradictions("lr fell from 4.0e-3 to 2.0e-3: lower, 1.0e-3.") == []
    assert quoted("Best so far is trial 2, 0.25, with beta2 0.9: higher, 0.95.") == ["0.25", "0.9", "0.95"]


def test_every_number_was_read_and_every_direction_holds_on_random_draws() -> None:
    settings, words, claims = LandscapeSettings(), [], 0
    for seed in range(150):
        drawn = landscape(seed, settings)
        e, rng = drawn.experiment, np.random.default_rng(seed)
        rows = rng.permutation(len(e.pool))[: int(rng.integers(1, 5))]
        style = Style(int(rng.integers(6)), int(rng.integers(1, 4)), seed % 5 == 0, fidelity=seed % 7 > 0)
        state = State(drawn.problem, tuple(e.outcome(int(row)) for row in rows[:-1]))
        choice = e.pool.config(int(rows[-1]))
        said = thought(state, choice, style)
        read = {n for m in conversation(state, style) for n in NUMBER.findall(m["content"])}
        chosen = set(NUMBER.findall(_written(e, choice)))
        assert not [n for n in quoted(said) if n not in read | chosen], said
        assert contradictions(said) == []
        claims += said.count("higher, ") + said.count("lower, ")
        words.append(len(said.split()))
    assert claims > 100
    assert np.mean(words) < 40
    assert max(words) <= 65


def _written(e: Experiment, config: Config) -> str:
    return values(config)


@pytest.mark.parametrize("seed", range(3))
def test_a_thought_depends_on_what_is_shown_alone(seed: int) -> None:
    drawn = landscape(seed, LandscapeSettings(metered=0.0))
    choice = drawn.experiment.pool.config(0)
    hidden = replace(drawn.problem, cheaper=())
    assert thought(State(drawn.problem), choice, Style(top=0)) == thought(State(hidden), choice)
