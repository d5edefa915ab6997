"""No name of a data set, benchmark, model, device or paper in anything an agent can read."""

from collections.abc import Callable, Iterator

import pytest

from llmconfig_gym.catalog import SOURCES
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Simplex
from llmconfig_gym.sources.names import FORBIDDEN, forbidden_in
from llmconfig_gym.suite import Suite
from llmconfig_gym.tasks import describe, describe_outcome


def visible(e: Experiment) -> Iterator[str]:
    """All text of an experiment that can reach an agent."""
    yield describe(e, budget=5)
    yield e.fidelity.text()
    yield from (str(part) for item in e.fidelity.values.items() for part in item)
    yield e.fidelity.unit
    for p in e.space.parameters:
        yield from (p.name, p.unit, p.about, p.legal())
        yield from p.components if isinstance(p, Simplex) else ()
    yield from (e.metric.name, e.metric.about)
    yield from (part for item in e.metric.details.items() for part in item)
    yield from e.details
    for row in range(0, len(e.pool), max(1, len(e.pool) // 5)):
        outcome = e.outcome(row)
        yield describe_outcome(e.metric, outcome, trials_left=3)
        yield str(outcome.to_dict())
    yield e.tell({}).message
    yield e.tell(dict.fromkeys(e.space.names, "x")).message


@pytest.mark.parametrize("name", SOURCES)
def test_agents_read_no_names(name: str, suite: Callable[[str], Suite]) -> None:
    chosen = suite(name)
    for id_ in chosen.ids:
        for text in visible(chosen.experiment(id_)):
            assert forbidden_in(text) == [], text
            assert text.isascii()


@pytest.mark.parametrize("name", SOURCES)
def test_every_detail_is_explained(name: str, suite: Callable[[str], Suite]) -> None:
    chosen = suite(name)
    for id_ in chosen.ids:
        e = chosen.experiment(id_)
        assert set(e.details) == set(e.metric.details)
        assert all(e.metric.details.values())
        assert e.metric.about


def test_components_are_distinct_and_no_upstream_name() -> None:
    from llmconfig_gym.sources import admire, regmix

    for names in (admire.COMPONENTS, regmix.DOMAINS):
        assert len(set(names.values())) == len(names)
        assert not set(names) & set(names.values())
        assert any(forbidden_in(upstream) for upstream in names), "the check sees upstream's own names"


@pytest.mark.parametrize(
    "text",
    [
        "GSM8K",
        "the_pile_cc",
        "Stack-Exchange",
        "stack_exchange",
        "hacker news",
        "tulu_v3",
        "an A100",
        "RTX 3080",
        "ARC",
    ],
)
def test_the_check_finds_names_in_any_spelling(text: str) -> None:
    assert forbidden_in(text)


@pytest.mark.parametrize("text", ["architecture", "compile", "dropout", "a data-centre GPU", "research", "search"])
def test_the_check_spares_ordinary_words(text: str) -> None:
    assert forbidden_in(text) == []


def test_stems_are_written_as_the_check_expects() -> None:
    assert all(stem == stem.lower().strip() and "_" not in stem and "-" not in stem for stem in FORBIDDEN)
    assert len(set(FORBIDDEN)) == len(FORBIDDEN)
