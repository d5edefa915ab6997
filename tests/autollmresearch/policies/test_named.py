"""Language models by name: odd paths and models are taken as they are, options are read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autollmresearch.dialogue import Style
from autollmresearch.errors import CheckpointProblem, UnknownMethod
from autollmresearch.methods import identity, make_policy, split_methods
from autollmresearch.policies.agent import AgentPolicy, checkpoint_digest
from autollmresearch.policies.endpoint import EndpointPolicy
from autollmresearch.policies.named import decoding, default_policy, fallback

ODD = ("lr=1e-3", "with space", "a:b", "back\\slash", "ünï", "per%cent", "x;y", "quote'd", "-dash", "#1")


@pytest.mark.parametrize("name", ODD)
def test_a_path_may_hold_anything_but_a_comma(tmp_path: Path, name: str) -> None:
    place = tmp_path / name / "checkpoint"
    place.mkdir(parents=True)
    assert make_policy(f"agent:{place}") == AgentPolicy(str(place))
    tuned = make_policy(f"agent:{place},temperature=0.8,evidence=1,top=7,max_new_tokens=99,device=cpu")
    options = {"temperature": 0.8, "evidence": True, "top": 7, "max_new_tokens": 99, "device": "cpu"}
    assert tuned == AgentPolicy(str(place), options)
    listed = [f"agent:{place},temperature=0.8", "random", f"agent:{place}", "tpe:startup=3"]
    assert split_methods(",".join(listed)) == listed


def test_a_path_may_start_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "runs").mkdir()
    assert make_policy("agent:~/runs") == AgentPolicy(str(tmp_path / "runs"))


@pytest.mark.parametrize("hub_id", ["Qwen/Qwen3-4B-Instruct-2507", "gpt2", "me_2/a.b-c", "a/b@v1.0", "a@0123abc"])
def test_a_hub_id_is_not_looked_up_yet(hub_id: str) -> None:
    assert make_policy(f"agent:{hub_id}") == AgentPolicy(hub_id)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("endpoint:gpt-5", EndpointPolicy("gpt-5")),
        ("endpoint:qwen3:4b", EndpointPolicy("qwen3:4b")),
        ("endpoint:/models/a b=c,evidence=0", EndpointPolicy("/models/a b=c", Style(evidence=False))),
        (
            "endpoint:Qwen/Qwen3,evidence=1,top=5,temperature=0",
            EndpointPolicy("Qwen/Qwen3", Style(evidence=True, top=5), temperature=0.0),
        ),
        (
            "endpoint:m,base_url=http://[::1]:8000/v1,timeout=9,retries=0,concurrency=2,read_price=0.5,write_price=2",
            EndpointPolicy(
                "m",
                base_url="http://[::1]:8000/v1",
                timeout=9.0,
                retries=0,
                concurrency=2,
                read_price=0.5,
                write_price=2.0,
            ),
        ),
        (
            "endpoint:m,max_tokens=10,send_seed=false,pause=0,experiments=2",
            EndpointPolicy("m", Style(experiments=2), max_tokens=10, send_seed=False, pause=0.0),
        ),
    ],
)
def test_an_endpoint_is_a_model_with_options(name: str, policy: EndpointPolicy) -> None:
    assert make_policy(name) == policy
    assert split_methods(f"copy,{name},random") == ["copy", name, "random"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("agent", "'agent' does not say which; expected agent:PATH, options after a comma"),
        ("agent:", "'agent:' does not say which"),
        ("endpoint: ,top=1", "'endpoint: ,top=1' does not say which; expected endpoint:MODEL"),
        ("agents:x", "no method is called 'agents'; did you mean 'agent'? known: random"),
        ("agent:.,temprature=1", "no option is called 'temprature'; did you mean 'temperature'? legal options: top, "),
        ("agent:.,b/checkpoint", "no option is called 'b/checkpoint'; legal options: top, experiments, fidelity, "),
        ("agent:.,experiments=0", "option experiments must be a whole number of at least 1, found '0'"),
        ("agent:.,top=2.5", "option top must be a whole number of at least 0, found '2.5'"),
        ("agent:.,temperature=-1", "option temperature must be a number of at least 0, found '-1'"),
        ("agent:.,temperature=nan", "option temperature must be a number of at least 0, found 'nan'"),
        ("endpoint:m,temperature=inf", "option temperature must be a number of at least 0, found 'inf'"),
        ("endpoint:m,evidence=maybe", "option evidence must be 1 or 0, found 'maybe'"),
        ("endpoint:m,timeout=0", "option timeout must be a number of seconds, found '0'"),
        ("endpoint:m,retries=-1", "option retries must be a whole number of at least 0, found '-1'"),
        ("endpoint:m,base_url=localhost:8000", "option base_url must be an address without password, such as http"),
        ("endpoint:m,base_url=http://me:pw@h/v1", "option base_url must be an address without password"),
        ("endpoint:m,base_url=http://h/v1?key=1", "option base_url must be an address without password"),
        ("endpoint:m,api_key=sk-1", "no option is called 'api_key'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_known(name: str, message: str) -> None:
    with pytest.raises(UnknownMethod) as caught:
        make_policy(name)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("researcher-mini", {}),
        ("researcher-mini:", {}),
        ("researcher-mini:decode=greedy,evidence=0", {"decode": "greedy", "evidence": False}),
    ],
)
def test_the_shipped_agent_needs_no_path(shipped: Path, name: str, options: dict[str, object]) -> None:
    assert make_policy(name) == AgentPolicy(str(shipped), options)
    assert identity(name) == {"files": checkpoint_digest(shipped)}
    assert split_methods(f"copy,{name},random") == ["copy", name, "random"]


def test_a_wrong_option_of_the_shipped_agent_is_refused(shipped: Path) -> None:
    with pytest.raises(UnknownMethod) as caught:
        make_policy("researcher-mini:tpo=1")
    assert "no option is called 'tpo'; did you mean 'top'? legal options: top, " in str(caught.value)
    assert str(caught.value).endswith("device")


@pytest.mark.parametrize(
    ("name", "longer"),
    [
        ("researcher-mini", "researcher-mini:decode=greedy"),
        ("researcher-mini:top=1", "researcher-mini:top=1,decode=greedy"),
        ("researcher-mini:decode=score,top=1", "researcher-mini:top=1,decode=greedy"),
        ("agent:a:b=c", "agent:a:b=c,decode=greedy"),
        ("agent:runs/x,decode=sample", "agent:runs/x,decode=greedy"),
    ],
)
def test_how_to_decode_becomes_part_of_the_name(name: str, longer: str) -> None:
    assert decoding(name, "greedy") == longer


@pytest.mark.parametrize("name", ["copy", "tpe:startup=3", "endpoint:m", "nobody"])
def test_what_does_not_decode_says_so(name: str) -> None:
    with pytest.raises(
        UnknownMethod, match=f"'{name}' does not decode; --decode is for researcher-mini and agent:PATH"
    ):
        decoding(name, "score")


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_without_what_an_agent_needs_the_analyst_proposes(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    assert (default_policy(), fallback()) == ("researcher-mini", ())
    monkeypatch.setattr("autollmresearch.policies.agent.find_spec", lambda name: None if name == missing else name)
    assert default_policy() == "analyst"
    (note,) = fallback()
    assert note.startswith("the analyst proposes; researcher-mini")
    assert f"needs {missing}: pip install 'autollmresearch[agent]'" in note


@pytest.mark.parametrize(
    "path", ["/nowhere/at/all", "runs/a/checkpoint", "C:\\runs\\x", "../x y", "./no", "a/b@", "a/b@v1@v2", "a/b@-x"]
)
def test_a_path_that_is_not_there_is_refused_at_once(tmp_path: Path, monkeypatch: Any, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointProblem, match="is no directory with a checkpoint, and no hub id"):
        make_policy(f"agent:{path}")


NAMES = st.sampled_from(
    ["random", "tpe:startup=3", "agent:a=b", "agent:a:b=c,top=1", "endpoint:m,base_url=http://h:1/v1", "endpoint:m:4b"]
)


@given(st.lists(NAMES, min_size=1))
def test_a_joined_list_of_methods_splits_into_itself(names: list[str]) -> None:
    assert split_methods(",".join(names)) == names
