"""Language-model optimisers with a server and with checkpoints: tokens, costs, failures, nonsense, resuming."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from autollmresearch.baselines.llm.named import OPTIMISERS
from autollmresearch.cli.main import main
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from llmconfig_gym.experiment import Experiment

Says = Callable[..., dict[str, Any]]
LLAMBO = "llambo:endpoint:m:4b,startup=1,candidates=3,samples=2,retries=0,read_price=2,write_price=4"
FEW = {"llambo": ",startup=1,candidates=2,samples=2", "centaur": ",every=2"}


def benchmark(suite: Path, method: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    """What a small benchmark says: two targets, two seeds, three trials."""
    command = f"benchmark --suite {suite} --methods copy,{method} --budget 3 --seeds 2 --out out --workers 1"
    assert main(shlex.split(f"{command} --no-progress")) == code
    out, err = capsys.readouterr()
    return str(err if code else out)


def test_a_benchmark_counts_all_that_was_asked_and_goes_on_where_its_server_failed(
    server: Any,
    says: Says,
    small_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str,
) -> None:
    """The first cell takes 2 x (1 + 2 x 9) requests: a warm start, and twice three candidates with two predictions."""
    monkeypatch.chdir(tmp_path)
    lrs = re.compile(r"^lr (\S+), batch_size (\d+)", re.MULTILINE)

    def answer(handler: Any, body: dict[str, Any]) -> Any:
        (message,) = body["messages"]
        assert message["role"] == "user"
        text = message["content"]
        if server.fails and len(server.seen) > 38:
            return 401, {"error": {"message": f"wrong key: {key}"}}, {}
        if "<value>" in text:
            return 200, says("<value>3.2</value>"), {}
        lr, batch = lrs.findall(text)[body["seed"] % 5]  # one of those that it reads
        return 200, says(f'<config>{{"lr": {lr}, "batch_size": {batch}}}</config>'), {}

    server.script, server.fails = [answer], True
    error = benchmark(small_path, LLAMBO, capsys, code=4)
    assert "wrong key: [key]" in error
    assert "repeat the command" in error
    server.fails = False
    before = len(server.seen)
    said = benchmark(small_path, LLAMBO, capsys)
    assert "tokens read / proposal" in said
    frame = pd.read_parquet(tmp_path / "out" / "results.parquet")
    mine = frame[frame["method"] == LLAMBO]
    assert (mine["outcome"] == "measured").all()
    asked = mine["read_tokens"] / 10
    assert asked[mine["trial"] == 1].tolist() == [1] * 4
    assert asked[mine["trial"] > 1].between(3 + 2, 3 + 3 * 2).all(), (
        "candidates that were said twice are predicted once"
    )
    assert (mine["written_tokens"] == asked * 5).all()
    assert mine["cost"].tolist() == pytest.approx((asked * 4e-5).tolist())
    again = asked[mine["experiment"] == mine["experiment"].iloc[-1]].sum()
    late = 7  # requests on their way beside the one that failed, which the server may read only now
    assert again <= len(server.seen) - before <= again + late
    assert '"host": "127.0.0.1:' in (tmp_path / "out" / "settings.json").read_text()


@pytest.mark.parametrize("way", OPTIMISERS)
def test_every_optimiser_asks_a_server(
    server: Any, says: Says, targets: Any, problem_of: Callable[..., Problem], way: str
) -> None:
    """The model repeats the last configuration that it reads, or predicts 3.2."""
    target: Experiment = targets["pretraining"]

    def answer(handler: Any, body: dict[str, Any]) -> Any:
        text = body["messages"][0]["content"]
        lr, batch = re.findall(r"lr (\S+), batch_size (\d+)", text)[-1]
        return 200, says(f'<config>{{"lr": {lr}, "batch_size": {batch}}}</config><value>3.2</value>'), {}

    server.script = [answer]
    policy = make_policy(f"{way}:endpoint:m,temperature=0.7,max_tokens=99,write_price=10{FEW.get(way, '')}")
    (episode,) = run_episodes(policy, [target], [problem_of(target, budget=4)], [0])
    assert [o.kind for o in episode.outcomes] == ["measured"] * 4
    usages = [t.proposal.usage for t in episode.turns]
    assert sum(u.wrote for u in usages) == 5 * len(server.seen) > 0
    assert sum(u.cost for u in usages) == pytest.approx(5e-5 * len(server.seen))
    assert {(b["temperature"], b["max_tokens"]) for b in server.seen} == {(0.7, 99)}
    assert len({b["seed"] for b in server.seen}) == len(server.seen)


@pytest.mark.parametrize("way", OPTIMISERS)
def test_our_own_checkpoint_talks_nonsense_and_that_is_data(
    targets: Any, problem_of: Callable[..., Problem], way: str
) -> None:
    """It was trained on its own dialogue alone. What it writes costs trials and tokens, and nothing else."""
    target: Experiment = targets["pretraining"]
    policy = make_policy(f"{way}:researcher-mini,top=2,max_new_tokens=24,device=cpu{FEW.get(way, '')}")
    (episode,) = run_episodes(policy, [target], [problem_of(target, budget=3)], [0])
    asked = [t for t in episode.turns if t.proposal.usage.read]
    assert asked
    assert all(t.proposal.usage.wrote > 0 for t in asked)
    assert {t.outcome.kind for t in episode.turns} <= {"measured", "invalid"}
    assert all(isinstance(t.proposal.config, str) for t in episode.turns if t.outcome.kind == "invalid")


def test_a_prompt_for_which_there_is_no_room_is_an_empty_answer(
    targets: Any, problem_of: Callable[..., Problem], checkpoint: Path
) -> None:
    target: Experiment = targets["pretraining"]
    policy = make_policy(f"direct:agent:{checkpoint},context=20,device=cpu")
    (episode,) = run_episodes(policy, [target], [problem_of(target, budget=1)], [0])
    assert episode.outcomes[0].kind == "invalid"
    assert episode.turns[0].proposal.config == ""
