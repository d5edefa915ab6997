"""Distillation: rows are the sampled ids where there are such, else the text encoded, and the agent's words learned."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.dialogue import Style, action, prompt
from autollmresearch.episode import Trajectory, Turn, run_episodes
from autollmresearch.errors import StepProblem
from autollmresearch.evidence.records import Problem
from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy
from autollmresearch.policies.chat import Chat
from autollmresearch.policy import Proposal, Tokens
from autollmresearch.training.distill import DistillSettings, distill, encode
from autollmresearch.training.recipe import Recipe
from autollmresearch.training.sft import SftSettings
from autollmresearch.training.step import read_manifest
from autollmresearch.trajectories import append_trajectories
from llmconfig_gym.experiment import Experiment, Outcome

QUICK = SftSettings(epochs=8, batch_size=4, learning_rate=1e-2)


def played(*turns: tuple[str, str]) -> Trajectory:
    """An episode in which this was read and said."""
    made = [Turn(Proposal(said, prompt=read), Outcome("measured", {"x": 1}, 2.0), 0.5) for read, said in turns]
    return Trajectory("lines/x", len(made), 0, tuple(made))


AGENT = AgentSettings(Style(top=2), max_new_tokens=9)


@pytest.fixture
def tokenizer(tiny_tokenizer: Callable[..., Any]) -> Any:
    return tiny_tokenizer()


@pytest.fixture
def run(tokenizer: Any, tiny_model: Callable[..., Any], tmp_path: Path) -> Path:
    """A training run up to its simulation."""
    checkpoint = tmp_path / "run" / "prior" / "checkpoint"
    tokenizer.save_pretrained(checkpoint)
    tiny_model(tokenizer).save_pretrained(checkpoint)
    AGENT.save(checkpoint)
    trajectories = [played(("Task?", action({"x": i % 2}, "so")), ("2.5", action({"x": 3}))) for i in range(8)]
    append_trajectories(tmp_path / "run" / "simulate" / "trajectories.jsonl", trajectories)
    return tmp_path / "run"


def test_words_without_ids_are_encoded_from_text(tokenizer: Any) -> None:
    trajectory = played(("read one", "said one"), ("read two", "said two"))
    (row,) = encode([trajectory], Chat(tokenizer))
    assert tokenizer.decode(row.ids) == (
        "<|user|>read one<|end|><|assistant|>said one<|end|><|user|>read two<|end|><|assistant|>said two<|end|>"
    )
    assert tokenizer.decode([i for i, own in zip(row.ids, row.own, strict=True) if own]) == (
        "said one<|end|>said two<|end|>"
    )


def test_sampled_ids_are_never_made_again_from_text(tokenizer: Any) -> None:
    one, two = (Tokens((1, 2), (3, 4), (0.0, 0.0)), Tokens((5,), (6, 7, 8), (0.0,) * 3))
    trajectory = played(("read one", "said one"), ("read two", "said two"))
    sampled = replace(
        trajectory,
        turns=tuple(
            replace(turn, proposal=replace(turn.proposal, tokens=tokens))
            for turn, tokens in zip(trajectory.turns, (one, two), strict=True)
        ),
    )
    (row,) = encode([sampled], Chat(tokenizer))
    assert row.ids == [1, 2, 3, 4, 5, 6, 7, 8]
    assert row.own == [False, False, True, True, False, True, True, True]
    mixed = replace(sampled, turns=(sampled.turns[0], trajectory.turns[1]))
    chat = Chat(tokenizer)
    later = chat.follow("read two", finished=False) + chat.words("said two")
    assert encode([mixed], chat)[0].ids == [1, 2, 3, 4, *later], "the end of an answer cut off is read, not learned"
    assert encode([mixed], chat)[0].own[:5] == [False, False, True, True, False]


def test_a_continued_turn_keeps_what_was_written_and_reads_its_prompt_without_the_hint(tokenizer: Any) -> None:
    chat = Chat(tokenizer)
    trajectory = played(("read one", "said one"), ("read two", "said two"))
    first = Tokens(tuple(chat.start("read one")), (70, 71), (0.0, 0.0))
    unread = Tokens((), (72, 73, chat.end_id), (0.0,) * 3)
    turns = [
        replace(turn, proposal=replace(turn.proposal, tokens=tokens))
        for turn, tokens in zip(trajectory.turns, (first, unread), strict=True)
    ]
    (row,) = encode([replace(trajectory, turns=tuple(turns))], chat)
    between = chat.follow("read two", finished=False)
    assert row.ids == [*first.read, 70, 71, *between, 72, 73, chat.end_id]
    assert [i for i, own in zip(row.ids, row.own, strict=True) if own] == [70, 71, 72, 73, chat.end_id]


@pytest.mark.parametrize("room", [1000, 60], ids=["answers cut off", "no room at the end"])
def test_labels_of_sampled_episodes_are_what_was_written(
    tokenizer: Any,
    tiny_model: Callable[..., Any],
    line: Callable[..., Experiment],
    lonely: Callable[[Experiment, int], Problem],
    room: int,
) -> None:
    from autollmresearch.training.own_tokens import OwnTokens

    e = line([3.0, 1.0, 2.0])
    context = len(Chat(tokenizer).start(prompt(lonely(e, 4)))) + room
    settings = AgentSettings(max_new_tokens=20, context=context)
    policy = CausalLMPolicy(tiny_model(tokenizer).eval(), tokenizer, settings, temperature=1.0)
    trajectories = run_episodes(policy, [e] * 3, [lonely(e, 4)] * 3, [1, 2, 3])
    spoken = [[t.proposal.tokens for t in trajectory.turns if t.proposal.tokens] for trajectory in trajectories]
    cut = [t.wrote[-1] != tokenizer.eos_token_id for turns in spoken for t in turns]
    assert any(cut)
    assert all(len(turns) == 4 for turns in spoken) == (room == 1000)
    rows = encode(trajectories, Chat(tokenizer))
    batch = OwnTokens(tokenizer.pad_token_id)([{"input_ids": r.ids, "assistant_masks": r.own} for r in rows])
    for turns, labels, ids in zip(spoken, batch["labels"].tolist(), batch["input_ids"].tolist(), strict=True):
        assert [i for i in labels if i != -100] == [i for t in turns for i in t.wrote]
        assert [i for i, label in zip(ids, labels, strict=True) if label != -100] == [i for t in turns for i in t.wrote]
        whole = [i for t in turns for i in (*t.read, *t.wrote)]
        assert ids[: len(whole)] == whole
        assert set(ids[len(whole) :]) <= {tokenizer.pad_token_id}


def test_a_turn_in_which_nothing_was_said_is_not_learned(tokenizer: Any) -> None:
    (row,) = encode([played(("read one", ""), ("read two", "said two"))], Chat(tokenizer))
    assert tokenizer.decode([i for i, own in zip(row.ids, row.own, strict=True) if own]) == "said two<|end|>"


def test_a_run_s_trajectories_are_learned(run: Path) -> None:
    recipe = Recipe(agent=AGENT, distill=DistillSettings(QUICK))
    distill(recipe, run, progress=False)
    manifest = read_manifest(run / "distill")
    assert manifest is not None
    assert manifest["counts"]["rows"] == 8
    assert manifest["counts"]["updates"] == 16
    assert manifest["counts"]["loss"] < 3.5
    assert set(manifest["inputs"]) == {"checkpoint", "trajectories"}
    policy = CausalLMPolicy.load(str(run / "distill" / "checkpoint"))
    assert policy.settings == AgentSettings(Style(top=2), max_new_tokens=9)
    assert sorted(p.name for p in (run / "distill").iterdir()) == [
        ".lock",
        "checkpoint",
        "manifest.json",
        "metrics.jsonl",
    ]


def test_rows_that_are_all_too_long_are_said_to_be(run: Path) -> None:
    recipe = Recipe(agent=AGENT, distill=DistillSettings(replace(QUICK, max_length=10)))
    with pytest.raises(StepProblem, match="no row to learn from: 8 rows are longer than max_length 10"):
        distill(recipe, run, progress=False)


def test_without_a_simulation_it_says_what_to_run(run: Path) -> None:
    (run / "simulate" / "trajectories.jsonl").unlink()
    with pytest.raises(StepProblem, match="make it first: autollmresearch train simulate"):
        distill(Recipe(), run, progress=False)


def test_a_checkpoint_that_is_asked_otherwise_is_not_gone_on_from(run: Path) -> None:
    other = replace(AGENT, style=Style(top=3))
    with pytest.raises(StepProblem, match="other settings in the recipe's agent section"):
        distill(Recipe(agent=other, distill=DistillSettings(QUICK)), run, progress=False)
