"""A tokenizer that loses nothing and keeps digits apart, and a model that fits it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autollmresearch.dialogue import Style, action, observation, prompt
from autollmresearch.errors import CheckpointProblem
from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.policies.chat import Chat
from autollmresearch.training.expert import ExpertSettings, play
from autollmresearch.training.landscapes import Landscape, LandscapeSettings, landscape, training_seed
from autollmresearch.training.scratch import ModelSettings, load_model, make_model, make_tokenizer, suite_texts
from llmconfig_gym.errors import InvalidDescription
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite

SMALL = ModelSettings(layers=1, width=32, heads=2, key_heads=1, mlp=64, vocabulary=1024, context=512)


def dialogues(count: int) -> list[str]:
    """Conversations of the prior, as text."""
    played = [
        play(landscape(training_seed(0, i), LandscapeSettings()), Style(), ExpertSettings(), np.random.default_rng(i))
        for i in range(count)
    ]
    return ["\n".join(m["content"] for m in messages) for messages, _ in played]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return make_tokenizer(dialogues(200), SMALL)


def test_any_text_comes_back(tokenizer: Any) -> None:
    @given(st.text(max_size=200))
    @settings(deadline=None)
    def check(text: str) -> None:
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text

    check()


def test_dialogues_come_back(tokenizer: Any) -> None:
    for text in dialogues(40):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("2.76e-3", ["2", ".", "7", "6", "e-3"]),
        ("1.97e12.", ["1", ".", "9", "7", "e12", "."]),
        ("0.0111, 352", ["0", ".", "0", "1", "1", "1", ", ", "3", "5", "2"]),
        ("beta2 0.95", ["beta", "2", " ", "0", ".", "9", "5"]),
    ],
)
def test_digits_are_apart_and_exponents_whole(tokenizer: Any, text: str, pieces: Sequence[str]) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert [tokenizer.decode([i]) for i in ids] == pieces


def test_sentences_of_many_prompts_are_one_token(tokenizer: Any) -> None:
    for text in ("Do not repeat a configuration. ", "A repeated or invalid one costs a trial."):
        assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) == 1


def test_turns_end_with_their_own_token_and_padding_is_another(tokenizer: Any) -> None:
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert Chat(tokenizer).end_id == tokenizer.eos_token_id
    assert len(tokenizer) <= SMALL.vocabulary


def test_the_template_marks_what_the_agent_wrote(tokenizer: Any) -> None:
    roles = ("user", "assistant", "user", "assistant")
    words = ("Budget: 2 trials.", action({"lr": 1e-3}, "keep"), "loss 2.5. 1 trial left.", action({"lr": 2e-3}))
    messages = [{"role": r, "content": w} for r, w in zip(roles, words, strict=True)]
    theirs = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    ours = Chat(tokenizer).encode(messages)
    assert ours.ids == theirs["input_ids"]
    assert ours.own == [bool(m) for m in theirs["assistant_masks"]]
    assert ours.own[-1]
    assert ours.ids[-1] == tokenizer.eos_token_id


def test_the_same_dialogues_give_the_same_tokenizer() -> None:
    texts = dialogues(60)
    one, same = (make_tokenizer(texts, SMALL).backend_tokenizer.to_str() for _ in range(2))
    assert one == same


def test_a_pretraining_episode_of_five_turns_fits_in_1024_tokens(targets: Mapping[str, Experiment], toy: Suite) -> None:
    target = targets["pretraining"]
    first, second = (CheapRuns.of(e) for e in toy.cheaper(target.id) if e.task == target.task)
    problem = Problem(target.task, target.fidelity, target.metric, target.pool, (first, first, second), 5)
    assert prompt(problem).count("Best 5 of") == 3
    played = play(Landscape(target, problem, target.losses), Style(), ExpertSettings(), np.random.default_rng(0))
    assert len(played[1]) == 5
    full = make_tokenizer(dialogues(200), ModelSettings(), suite_texts(["micro"], Style()))
    assert len(Chat(full).encode(*played).ids) <= 1024


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_model_from_scratch(tokenizer: Any, family: Any) -> None:
    import torch

    sizes = ModelSettings(family=family, layers=2, width=32, heads=2, key_heads=1, mlp=48, vocabulary=1024, context=256)
    one, same, other = (make_model(sizes, tokenizer, seed) for seed in (0, 0, 1))
    weights = [m.get_input_embeddings().weight for m in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert one.get_output_embeddings().weight is weights[0]
    assert weights[0].shape == (len(tokenizer), 32)
    assert one.config.eos_token_id == tokenizer.eos_token_id
    ids = torch.tensor([tokenizer("Budget: 5 trials.")["input_ids"]])
    assert torch.isfinite(one(input_ids=ids).logits).all()


def test_words_of_suites_are_read_without_a_high_experiment(toy_path: Any, toy: Suite) -> None:
    texts = suite_texts([str(toy_path)], Style())
    assert len(texts) == len([s for s in toy.summaries if s.level != "high"])
    high: list[Experiment] = toy.split("high")
    for e in high:
        told = observation(_lonely(e), e.outcome(0), 4)
        assert not any(told in text for text in texts)
    with_words = make_tokenizer(dialogues(60), SMALL, texts)
    line = "perplexity, lower is better."
    assert len(with_words(line)["input_ids"]) <= len(make_tokenizer(dialogues(60), SMALL)(line)["input_ids"])


def _lonely(e: Experiment) -> Problem:
    return Problem(e.task, e.fidelity, e.metric, e.pool, (), 5, e.clip)


def test_a_model_that_exists(tmp_path: Any, tokenizer: Any) -> None:
    make_model(SMALL, tokenizer, 3).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, words = load_model(ModelSettings(path=str(tmp_path)))
    assert words.chat_template == tokenizer.chat_template
    assert model.num_parameters() == make_model(SMALL, tokenizer, 0).num_parameters()
    adapted, _ = load_model(ModelSettings(path=str(tmp_path), lora_rank=2))
    trained = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora" in name for name in trained)
    with pytest.raises(CheckpointProblem, match="cannot be loaded"):
        load_model(ModelSettings(path=str(tmp_path / "nothing")))


@pytest.mark.parametrize(
    "change", [{"vocabulary": 100}, {"width": 30, "heads": 4}, {"key_heads": 3}, {"lora_rank": 4}, {"layers": 0}]
)
def test_sizes_out_of_range(change: dict[str, int]) -> None:
    with pytest.raises(InvalidDescription, match=next(iter(change))):
        ModelSettings(**change)  # type: ignore[arg-type]
