"""Priors: one table, each with a source, and the page that shows it shows this one."""

from pathlib import Path

from autollmresearch.evidence.ordered import axes, exponent_prior, location_prior, role, tokens_per_unit
from autollmresearch.evidence.priors import PRIORS
from autollmresearch.evidence.records import Problem
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

PAGE = Path(__file__).parents[3] / "docs" / "analyst.md"


def test_every_prior_has_a_unit_and_a_source() -> None:
    assert all(p.unit and p.source and p.sd >= 0 for p in PRIORS.values())


def test_the_page_shows_the_table_as_it_is() -> None:
    rows = [f"| `{name}` | {p.mean:g} | {p.sd:g} | {p.unit} | {p.source} |" for name, p in PRIORS.items()]
    shown = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert shown == rows


def problem(fidelity: Fidelity, **names: str) -> Problem:
    """A problem with a parameter of each of these names and units."""
    space = Space(tuple(Grid(n, (0.001, 0.01, 0.1), log=True, unit=u) for n, u in names.items()))
    pool = Pool.from_configs(space, [dict.fromkeys(names, 0.01)])
    return Problem("pretraining", fidelity, Metric("loss", "minimize"), pool, (), 1)


def test_published_laws_hold_for_learning_rate_and_batch_size_in_pretraining_alone() -> None:
    pretraining = Fidelity({"parameters": 1e9, "tokens": 2e10}, 1.2e20)
    other = Fidelity({"parameters": 1e9, "sampled_answers": 1e4}, 1.0)
    for fidelity, sources in ((pretraining, ("DeepSeek", "muP")), (other, ("generic", "generic"))):
        p = problem(fidelity, learning_rate="")
        axis = axes(p.space)[0]
        assert sources[0] in location_prior(axis, p).source
        assert sources[1] in exponent_prior(axis, "parameters", p).source


def test_a_batch_size_follows_the_law_only_if_its_unit_says_how_many_tokens_it_counts() -> None:
    fidelity = Fidelity({"parameters": 1e9, "tokens": 2e10}, 1.2e20)
    for unit, known in (("sequences of 2,048 tokens", 2048.0), ("tokens", 1.0), ("", None)):
        p = problem(fidelity, batch_size=unit)
        assert tokens_per_unit(p.space.parameters[0]) == known
        assert ("DeepSeek" in location_prior(axes(p.space)[0], p).source) == (known is not None)


def test_names_are_read_as_words() -> None:
    names = {"lr": "lr", "learning_rate": "lr", "peak-lr": "lr", "batch_size": "batch", "prompts_per_step": "batch"}
    names |= {"clrs": "other", "weight_decay": "other", "kl_coefficient": "other"}
    assert {n: role(Grid(n, (0.1, 1.0), log=True)) for n in names} == names
    assert role(Grid("lr", (0.1, 1.0))) == "other"
    assert role(Grid("lr", (0.1, 1.0), log=True, relative=True)) == "other"
