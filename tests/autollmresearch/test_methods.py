"""Methods by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autollmresearch.active.halving import HalvingPolicy
from autollmresearch.active.multifidelity import MultiFidelityPolicy
from autollmresearch.active.schedule import ScheduledPolicy
from autollmresearch.baselines.copy import CopyPolicy
from autollmresearch.baselines.optuna_samplers import OptunaPolicy
from autollmresearch.baselines.pooled_gp import PooledGPPolicy
from autollmresearch.baselines.published_law import PublishedLawPolicy
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.errors import NotApplicable, UnknownMethod
from autollmresearch.methods import ACTIVE, DEFAULT, METHODS, make_active, make_policy, split_methods
from llmconfig_gym.errors import MissingExtra

KNOWN = (
    f"{', '.join(METHODS)}, researcher-mini, agent:PATH, endpoint:MODEL, "
    "direct:LLM, opro:LLM, llambo:LLM, sllmbo:LLM, centaur:LLM, python:FILE.py:NAME"
)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("random", RandomPolicy()),
        ("copy", CopyPolicy()),
        ("tpe", OptunaPolicy("tpe", startup=10)),
        ("tpe:startup=3", OptunaPolicy("tpe", startup=3)),
        ("tpe:startup=3,warm=2", OptunaPolicy("tpe", startup=3, warm=2)),
        ("tpe-multivariate", OptunaPolicy("tpe-multivariate", startup=10)),
        ("tpe-independent:warm=1", OptunaPolicy("tpe-independent", startup=10, warm=1)),
        ("cmaes", OptunaPolicy("cmaes", startup=1)),
        ("gp", OptunaPolicy("gp", startup=10)),
        ("gp:startup=3", OptunaPolicy("gp", startup=3)),
        ("pooled-gp", PooledGPPolicy()),
        ("pooled-gp:points=50", PooledGPPolicy(points=50)),
        ("published-law", PublishedLawPolicy("step-law")),
        ("published-law-deepseek", PublishedLawPolicy("deepseek")),
    ],
)
def test_a_name_with_options_is_a_policy_with_these_fields(name: str, policy: Any) -> None:
    assert make_policy(name) == policy


def test_the_default_methods_are_those_of_the_benchmark() -> None:
    assert set(DEFAULT) == {
        "random",
        "tpe",
        "tpe:startup=3",
        "gp",
        "gp:startup=3",
        "copy",
        "pooled-gp",
        "pooled-quadratic",
        "analyst",
        "researcher-mini",
    }
    assert {name.partition(":")[0] for name in DEFAULT} <= {*METHODS, "researcher-mini"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("randm", "no method is called 'randm'; did you mean 'random'? known: " + KNOWN),
        ("zzz", "no method is called 'zzz'; known: " + KNOWN),
        ("", "no method is called ''; known: " + KNOWN),
        (
            "tpe:start=3",
            "'tpe:start=3': no option is called 'start'; legal options with their defaults: startup=",
        ),
        ("tpe:sampler=gp", "'tpe:sampler=gp': no option is called 'sampler'; legal options with their defaults"),
        ("copy:x=1", "'copy:x=1': no option is called 'x'; legal options with their defaults: none"),
        ("tpe:startup=many", "'tpe:startup=many': option startup must be of type int, found 'many'"),
        ("tpe:startup", "'tpe:startup': option startup must be of type int, found ''"),
        ("tpe:startup=2.5", "'tpe:startup=2.5': option startup must be of type int, found '2.5'"),
        ("tpe:startup=0", "'tpe:startup=0': option startup must be at least 1, found 0"),
        ("pooled-gp:points=-1", "'pooled-gp:points=-1': option points must be at least 1, found -1"),
    ],
)
def test_an_unknown_name_or_option_is_refused_with_what_is_known(name: str, message: str) -> None:
    with pytest.raises(UnknownMethod) as caught:
        make_policy(name)
    assert str(caught.value).startswith(message)


def test_without_torch_gp_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'autollmresearch\[bench\]'"):
        make_policy("gp:startup=3")
    assert make_policy("tpe") == OptunaPolicy("tpe")


def test_options_after_a_comma_belong_to_the_method_before_them() -> None:
    assert split_methods("tpe:startup=3,points=5,random") == ["tpe:startup=3,points=5", "random"]
    assert split_methods("random,tpe:startup=3,gp:startup=3") == ["random", "tpe:startup=3", "gp:startup=3"]


@given(st.lists(st.sampled_from(DEFAULT), min_size=1))
def test_a_joined_list_of_methods_splits_into_itself(names: list[str]) -> None:
    assert split_methods(",".join(names)) == names


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("sha", HalvingPolicy(False, False)),
        ("hyperband:eta=4", HalvingPolicy(True, False, eta=4)),
        ("bohb", HalvingPolicy(True, True)),
        ("mf-gp:runs=30", MultiFidelityPolicy(False, runs=30)),
        ("mf-kg", MultiFidelityPolicy(True)),
        ("random", ScheduledPolicy(RandomPolicy(), target_only=True)),
        ("tpe:startup=3", ScheduledPolicy(OptunaPolicy("tpe", startup=3), target_only=True)),
        ("copy", ScheduledPolicy(CopyPolicy())),
    ],
)
def test_under_a_budget_of_cost_every_method_chooses_runs(name: str, policy: Any) -> None:
    assert make_active(name) == policy


@pytest.mark.parametrize("name", ACTIVE)
def test_a_method_that_chooses_runs_is_none_that_proposes(name: str) -> None:
    with pytest.raises(NotApplicable, match=f"{name} chooses itself what to run, which only the protocol active:B"):
        make_policy(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "hyprband",
            "no method is called 'hyprband'; did you mean 'hyperband'? known: " + KNOWN + "; under active:B also sha",
        ),
        ("sha:eta=x", "'sha:eta=x': option eta must be of type int, found 'x'"),
        ("sha:start=1", "'sha:start=1': no option is called 'start'; legal options with their defaults: eta=3"),
        ("copy:x=1", "'copy:x=1': no option is called 'x'"),
    ],
)
def test_an_unknown_name_or_option_is_refused_there_too(name: str, message: str) -> None:
    with pytest.raises(UnknownMethod) as caught:
        make_active(name)
    assert str(caught.value).startswith(message)
