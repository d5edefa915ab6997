"""The mixture runner: which mixtures, and the three targets made of one run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.collect import mixture
from llmconfig_gym.collect.driver import Measurement, Row, collect
from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.mixture import ABOUT, DETAILS, MICRO, SCORES, MixtureRunner, MixtureSetting, mixtures
from llmconfig_gym.collect.runners import runner_of
from llmconfig_gym.errors import CollectError
from llmconfig_gym.tasks import describe

TINY = MixtureSetting("low", 16, 32 * 8 * 4, mixtures=5, replicated=2)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.collect.lab.mixture.VALIDATION_TOKENS", 1024)
    monkeypatch.setattr("llmconfig_gym.collect.lab.mixture.QUESTIONS", 16)


def test_mixtures_are_shares_and_a_longer_list_begins_with_a_shorter_one() -> None:
    drawn = mixtures(96)
    assert drawn[:64] == mixtures(64)
    assert len({tuple(m.values()) for m in drawn}) == 96
    for m in drawn:
        assert set(m) == set(corpus.DOMAINS) == set(ABOUT)
        assert sum(m.values()) == pytest.approx(1, abs=1e-9)
        assert all(round(1000 * w) / 1000 == w >= 0 for w in m.values())
    largest = [max(m.values()) for m in drawn]
    assert min(largest) < 0.3
    assert max(largest) > 0.8
    means = np.mean([list(m.values()) for m in drawn], axis=0)
    assert ((means > 0.08) & (means < 0.22)).all()  # no domain is favoured


def test_the_embedded_sweep_is_what_its_card_says() -> None:
    groups = MixtureRunner().groups()
    assert len({g.name for g in groups}) == len(groups)
    for setting in MICRO:
        runs = Counter(json.dumps(r.config) for g in groups for r in g.runs if r.experiment == setting.name)
        assert len(runs) == setting.mixtures >= 48
        assert sorted(runs.values()) == [1] * (setting.mixtures - 8) + [3] * 8
    assert all(1 <= len(g.runs) <= mixture.STACK and g.seconds > 0 for g in groups)
    assert MICRO[2].flops / MICRO[0].flops == pytest.approx(32)


def test_domains_of_the_two_scores_are_apart() -> None:
    assert not {*SCORES["reasoning"]} & {*SCORES["knowledge"]}


@pytest.mark.usefixtures("_quick")
def test_a_tiny_sweep_becomes_three_experiments(tmp_path: Path) -> None:
    runner = MixtureRunner((TINY,))
    rows = collect(runner, tmp_path, progress=False)
    assert len(rows) == 5 + 2 * 2
    suite = runner.suite("tiny", rows)
    loss, reasoning, knowledge = (suite.experiment(i) for i in suite.ids)
    assert [e.metric.direction for e in (loss, reasoning, knowledge)] == ["minimize", "maximize", "maximize"]
    each = np.array([loss.details[f"loss_{d}"] for d in corpus.DOMAINS])
    np.testing.assert_allclose(loss.values, each.mean(axis=0), rtol=1e-9)
    for e, name in ((reasoning, "reasoning"), (knowledge, "knowledge")):
        each = np.array([e.details[f"accuracy_{d}"] for d in SCORES[name]])
        np.testing.assert_allclose(e.values, each.mean(axis=0), rtol=1e-9)
        assert e.family == f"mixture-{name}"
        assert e.noise > 0
    assert loss.replicates is not None
    assert loss.replicates.tolist() == [1, 3, 1, 3, 1]
    assert loss.tell({"weights": mixtures(1)[0]}).kind == "measured"
    assert loss.tell({"weights": dict.fromkeys(corpus.DOMAINS, 1 / 7)}).kind == "snapped"
    text = describe(reasoning)
    for words in ("share of each domain", "copying, random letters, repeated", "higher is better"):
        assert words in text


def test_a_run_without_an_accuracy_has_no_score() -> None:
    runner = MixtureRunner((TINY,))
    rows = []
    for group in runner.groups():
        for run in group.runs:
            details = {**dict.fromkeys(DETAILS, 0.5)}
            if run.config == {"weights": mixtures(1)[0]}:
                details["accuracy_facts"] = None  # type: ignore[assignment]
            rows.append(Row(group.name, run, Measurement(2.0, "ok", details)))
    suite = runner.suite("tiny", rows)
    knowledge, reasoning = (suite.experiment(f"tiny/{TINY.name}-{n}") for n in ("knowledge", "reasoning"))
    assert np.isnan(knowledge.values).tolist() == [True, False, False, False, False]
    assert np.isfinite(reasoning.values).all()


@pytest.mark.usefixtures("_quick")
def test_a_run_alone_is_the_run_in_its_stack() -> None:
    runner = MixtureRunner((TINY,))
    (group,) = runner.groups()
    together = runner.measure(group)
    for index in (0, 6):
        (alone,) = runner.measure(runner.alone(group.runs[index]))
        assert alone.value == pytest.approx(together[index].value, rel=1e-3)


def test_a_setting_comes_back_from_its_manifest_and_names_are_distinct() -> None:
    runner = MixtureRunner((TINY, *MICRO))
    assert runner_of(json.loads(json.dumps(runner.manifest()))) == runner
    assert "answers.py" in runner.manifest()["sources"]
    with pytest.raises(CollectError, match="distinct names"):
        MixtureRunner((TINY, TINY))
