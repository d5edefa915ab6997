"""Language-model optimisers by name: who answers, whose option is whose, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from autollmresearch.baselines.llm.centaur import Centaur
from autollmresearch.baselines.llm.direct import Direct
from autollmresearch.baselines.llm.llambo import Llambo
from autollmresearch.baselines.llm.named import OPTIMISERS
from autollmresearch.baselines.llm.opro import Opro
from autollmresearch.baselines.llm.optimiser import LLMOptimiserPolicy
from autollmresearch.dialogue import Style
from autollmresearch.errors import UnknownMethod
from autollmresearch.methods import identity, make_policy, split_methods
from autollmresearch.policies.agent import AgentPolicy, checkpoint_digest
from autollmresearch.policies.endpoint import EndpointPolicy
from autollmresearch.policies.named import SHIPPED


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("direct:endpoint:qwen3:4b", LLMOptimiserPolicy(Direct(), EndpointPolicy("qwen3:4b"))),
        (
            "llambo:endpoint:m,samples=5,candidates=4,startup=2,alpha=-0.2,top=0,read_price=0.5,temperature=0.7",
            LLMOptimiserPolicy(
                Llambo(Style(top=0), startup=2, candidates=4, samples=5, alpha=-0.2),
                EndpointPolicy("m", temperature=0.7, read_price=0.5),
            ),
        ),
        (
            "centaur:researcher-mini,every=2,max_new_tokens=50",
            LLMOptimiserPolicy(Centaur(every=2), AgentPolicy(str(SHIPPED), {"temperature": 1.0, "max_new_tokens": 50})),
        ),
        (
            "opro:agent:gpt2,temperature=0,experiments=1,fidelity=0",
            LLMOptimiserPolicy(Opro(Style(experiments=1, fidelity=False)), AgentPolicy("gpt2", {"temperature": 0.0})),
        ),
    ],
)
def test_a_name_is_an_optimiser_and_who_answers(name: str, policy: LLMOptimiserPolicy) -> None:
    assert make_policy(name) == policy
    assert split_methods(f"copy,{name},random") == ["copy", name, "random"]


@pytest.mark.parametrize("base", OPTIMISERS)
@pytest.mark.parametrize("who", ["", ":", ":qwen3", ":endpoint", ":agent: ,top=1", ":researcher-mini:top=1", ":tpe"])
def test_who_answers_must_be_said(base: str, who: str) -> None:
    with pytest.raises(UnknownMethod) as caught:
        make_policy(base + who)
    assert f"does not say which language model answers; expected {base}:researcher-mini" in str(caught.value)
    assert f"{base}:agent:PATH, {base}:endpoint:MODEL, options after a comma" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("opro:endpoint:m,samples=3", "no option is called 'samples'"),
        ("llambo:endpoint:m,sample=3", "no option is called 'sample'; did you mean 'samples'?"),
        ("llambo:endpoint:m,alpha=-2", "option alpha must be a number of at least -1, found '-2'"),
        ("centaur:endpoint:m,every=0", "option every must be a whole number of at least 1, found '0'"),
        ("direct:endpoint:m,evidence=1", "no option is called 'evidence'"),
        ("direct:researcher-mini,decode=score", "no option is called 'decode'"),
        ("direct:endpoint:m,device=cpu", "no option is called 'device'"),
    ],
)
def test_an_option_that_is_not_there_is_refused(name: str, message: str) -> None:
    with pytest.raises(UnknownMethod) as caught:
        make_policy(name)
    assert message in str(caught.value)


def test_results_belong_to_who_answers(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://h:1/v1")
    assert identity("opro:endpoint:m,top=1") == {"model": "m", "host": "h:1"}
    assert identity(f"llambo:agent:{checkpoint}") == {"files": checkpoint_digest(checkpoint)}
