"""SuiteTestCase: what is shipped passes, a user's own suite passes, and every planted defect is caught by its check."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmconfig_gym.catalog import SOURCES, load_suite
from llmconfig_gym.errors import BrokenPromise
from llmconfig_gym.experiment import Experiment, Fidelity, Metric, Outcome
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite
from llmconfig_gym.testing import SuiteTestCase
from llmconfig_gym.twist import twist

Suites = Callable[[str], Suite]


class TestShipped(SuiteTestCase):
    """Every suite that this project embeds or fetches."""

    @pytest.fixture(autouse=True, params=["micro", *SOURCES])
    def _name(self, request: pytest.FixtureRequest) -> None:
        name = request.param
        self.suite = load_suite(name) if name == "micro" else request.getfixturevalue("suite")(name)

    def make(self) -> Suite:
        return self.suite


class TestSynthetic(SuiteTestCase):
    """The four tasks with holes, diverged runs and parameters of every kind."""

    @pytest.fixture(autouse=True)
    def _experiments(self, experiments: Mapping[str, Experiment]) -> None:
        self.experiments = experiments

    def make(self) -> Suite:
        return Suite.of("test", Card("synthetic"), self.experiments.values())


class TestTwisted(SuiteTestCase):
    """A derived suite."""

    def make(self) -> Suite:
        return twist(load_suite("micro"), "reversed", targets="medium")


class TestUsersOwn(SuiteTestCase):
    """A table that a person made, as it is after import."""

    @pytest.fixture(autouse=True)
    def _table(self, tmp_path: Path) -> None:
        self.root = tmp_path

    def make(self) -> Suite:
        from llmconfig_gym.cli.main import main

        if not (self.root / "mine").exists():
            rng = np.random.default_rng(0)
            rows = [
                f"{n},{lr:.4g},{batch},{'ok' if lr < 1e-2 else 'crashed'},{2 + rng.random():.6f}"
                for n in ("1e6", "1e7", "1e8")
                for lr in (1e-4, 3e-4, 1e-3, 3e-2)
                for batch in (16, 32, 32)
            ]
            (self.root / "runs.csv").write_text("\n".join(["parameters,lr,batch_size,status,val_loss", *rows]))
            arguments = ["import", str(self.root / "runs.csv"), "--name", "mine", "--out", str(self.root / "mine")]
            assert main(arguments) == 0
        return load_suite(str(self.root / "mine"))


# Planted defects. Each is a change of one sound experiment, or of the suite that holds it.


def _sound(kind: type[Experiment] = Experiment, **changes: Any) -> Experiment:
    space = Space((Grid("lr", (1e-4, 1e-3, 1e-2), log=True), Grid("batch", (16, 32), log=True)))
    configs = [{"lr": lr, "batch": batch} for lr in (1e-4, 1e-3, 1e-2) for batch in (16, 32)]
    values = np.array([2.71234, 2.61234, 2.51234, 2.59876, 2.8, np.nan])
    fields: dict[str, Any] = {
        "id": "own/a",
        "suite": "own",
        "task": "pretraining",
        "family": "dense",
        "level": "low",
        "fidelity": Fidelity({"parameters": 1e6}, 6e12),
        "metric": Metric("loss", "minimize", "Mean loss of the last steps."),
        "pool": Pool.from_configs(space, configs),
        "values": values,
    }
    return kind(**(fields | changes))


class Noisy(Experiment):
    def tell(self, config: object) -> Outcome:
        outcome = super().tell(config)
        return outcome if outcome.value is None else replace(outcome, value=outcome.value + random.random() / 1e3)


class Greedy(Experiment):
    def tell(self, config: object) -> Outcome:
        outcome = super().tell(config)
        if isinstance(config, dict):
            config.clear()
        return outcome


@dataclass(frozen=True, eq=False)
class Sharing(Experiment):
    told: dict[str, Outcome] = field(default_factory=dict)

    def tell(self, config: object) -> Outcome:
        return self.told.setdefault(repr(config), super().tell(config))


class Raising(Experiment):
    def tell(self, config: object) -> Outcome:
        if isinstance(config, dict) and "lr" not in config:
            raise KeyError("lr")
        return super().tell(config)


class Guessing(Experiment):
    def tell(self, config: object) -> Outcome:
        outcome = super().tell(config)
        return replace(outcome, value=9.0) if outcome.kind == "invalid" else outcome


class Talkative(Experiment):
    def tell(self, config: object) -> Outcome:
        outcome = super().tell(config)
        hint = f"the best was {self.best:.3f}." if outcome.kind == "invalid" else ""
        return replace(outcome, message=f"{outcome.message} {hint}".strip())


class Lines(Experiment):
    def tell(self, config: object) -> Outcome:
        outcome = super().tell(config)
        return replace(outcome, message=outcome.message.replace(" ", "\n"))


@dataclass(frozen=True, eq=False)
class Relisted(Suite):
    """A suite whose listing was written for another table."""

    @classmethod
    def made(cls, suite: Suite) -> Suite:
        wrong = tuple(replace(s, configurations=s.configurations + 1) for s in suite.summaries)
        return cls(suite.name, suite.card, wrong, _loaded=suite._loaded)


def _about(words: str) -> Space:
    return Space((Grid("lr", (1e-4, 1e-3, 1e-2), log=True, about=words), Grid("batch", (16, 32), log=True)))


def _of(*experiments: Experiment, title: Any = "own") -> Suite:
    return Suite.of("own", Card(title), experiments)


def _defects() -> list[tuple[str, Suite, str]]:
    """The check that has to find it, a suite that has it, and what that check says of it."""
    sound = _sound()
    cheap_target = _sound(id="own/b", level="high", fidelity=Fidelity({"parameters": 1e5}, 6e10))
    other_unit = _sound(id="own/b", level="high", fidelity=Fidelity({"parameters": 1e9}, 6e10, "GPU hours"))
    twice = Pool(sound.space, {n: np.r_[c[:1], c[:-1]] for n, c in sound.pool.columns.items()})
    said = replace(sound.metric, about="Losses fall from 2.8 to about 2.512.")
    best = replace(sound.metric, about="The best found so far: lr 1e-3 with batches of 16.")
    told = Pool.from_configs(_about("values near 2.61 of loss"), [sound.pool.config(r) for r in range(6)])
    return [
        ("test_listing_and_tables_agree", Relisted.made(_of(sound)), "the listing says"),
        ("test_saved_and_loaded_it_is_the_same", _of(sound, title=3), "cannot be saved and loaded"),
        ("test_levels_go_from_cheap_to_expensive", _of(sound, cheap_target), "which is to learn from it"),
        ("test_levels_go_from_cheap_to_expensive", _of(sound, other_unit), "costs are in"),
        (
            "test_levels_go_from_cheap_to_expensive",
            _of(_sound(fidelity=Fidelity({}, 0.0))),
            "expected a positive number",
        ),
        ("test_what_was_measured_is_told", _of(_sound(pool=twice)), "in the table twice"),
        ("test_what_was_measured_is_told", _of(_sound(Noisy)), "telling its configuration gives"),
        ("test_tell_is_pure", _of(_sound(Noisy)), "tell must be pure"),
        ("test_tell_is_pure", _of(_sound(Greedy)), "tell changes the configuration"),
        ("test_tell_is_pure", _of(_sound(Sharing)), "tell must be pure"),
        ("test_what_cannot_be_told_is_refused_as_data", _of(_sound(Raising)), "raised KeyError"),
        (
            "test_what_cannot_be_told_is_refused_as_data",
            _of(_sound(Guessing)),
            "must be an invalid outcome without a value",
        ),
        ("test_what_cannot_be_told_is_refused_as_data", _of(_sound(Lines)), "must be refused in one printable line"),
        ("test_refusals_tell_no_outcome", _of(_sound(Talkative)), "depends on what was measured"),
        ("test_words_tell_no_outcome", _of(_sound(metric=said)), "its metric .* measured here"),
        ("test_words_tell_no_outcome", _of(_sound(metric=best)), "names the best configuration"),
        ("test_words_tell_no_outcome", _of(_sound(pool=told)), "parameter lr .* measured here"),
    ]


def _case(suite: Suite) -> SuiteTestCase:
    case = SuiteTestCase()
    case.make = lambda: suite  # type: ignore[method-assign]
    return case


def test_a_sound_suite_passes(caught: Callable[[object], dict[str, str]]) -> None:
    assert caught(_case(_of(_sound()))) == {}


@pytest.mark.parametrize(("check", "suite", "says"), _defects())
def test_a_planted_defect_is_caught(check: str, suite: Suite, says: str) -> None:
    with pytest.raises(BrokenPromise, match=f"^own.*{says}"):
        getattr(_case(suite), check)()


def test_every_check_has_a_planted_defect(checks: Callable[[object], list[str]]) -> None:
    assert {check for check, *_ in _defects()} == set(checks(SuiteTestCase()))


def test_a_case_without_a_subject_says_what_to_write() -> None:
    with pytest.raises(NotImplementedError, match=r"load_suite\('./mine'\)"):
        SuiteTestCase().test_tell_is_pure()
