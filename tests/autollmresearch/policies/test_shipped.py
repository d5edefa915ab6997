"""researcher-mini as it is shipped: small, safe to load, described, and what it says is legal and explained."""

from __future__ import annotations

from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.methods import make_policy
from autollmresearch.policies.causal_lm import AgentSettings
from autollmresearch.policies.named import MINI, SHIPPED
from autollmresearch.training.ship import MOST
from llmconfig_gym.catalog import load_suite


def test_its_files_are_few_small_and_no_pickles() -> None:
    files = list(SHIPPED.iterdir())
    assert {"model.safetensors", "tokenizer.json", "agent.json", "README.md"} <= {p.name for p in files}
    assert {p.suffix for p in files} <= {".safetensors", ".json", ".jinja", ".md"}
    assert sum(p.stat().st_size for p in files) < MOST
    settings = AgentSettings.load(SHIPPED)
    assert settings.score
    assert settings.style.evidence


def test_its_card_says_what_it_is() -> None:
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    for section in ("Model", "Data", "Results", "Limits", "Seeds and cost", "Recipe"):
        assert f"\n## {section}\n" in card


def test_it_thinks_weighs_and_expects() -> None:
    suite = load_suite("micro")
    target = suite.experiment("micro/N25k-D1M")
    problems = Protocol.parse("metered:10").problems(target, suite.cheaper(target.id), 2, [0])
    first, second = (run_episodes(make_policy(MINI), [target], problems, [0])[0] for _ in range(2))
    assert [t.proposal for t in first.turns] == [t.proposal for t in second.turns]
    assert [o.kind for o in first.outcomes] == ["measured", "measured"]
    for turn in first.turns:
        said = turn.proposal
        assert len(said.candidates) == 5
        assert said.candidates[0].config == turn.outcome.config
        assert said.reasoning
        assert said.trends
        assert said.mean is not None
        assert said.sd is not None
