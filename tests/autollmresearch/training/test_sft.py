"""Supervised training: labels are the own tokens exactly, and an interrupted run ends where a whole one does."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.errors import InvalidRecipe, StepProblem
from autollmresearch.policies.chat import Chat, Encoded
from autollmresearch.training.sft import SftSettings, fine_tune, last_checkpoint
from llmconfig_gym.errors import InvalidDescription

QUICK = SftSettings(epochs=2, batch_size=4, learning_rate=1e-2, save_every=3, log_every=3)


def conversation(i: int) -> list[dict[str, str]]:
    """Two turns, of a length that differs from row to row."""
    return [
        {"role": "user", "content": f"read {i}"},
        {"role": "assistant", "content": "<think>" + "so " * (i % 5) + "</think>"},
        {"role": "user", "content": "value 2.5"},
        {"role": "assistant", "content": "last"},
    ]


def encoded(tokenizer: Any, messages: Sequence[dict[str, str]]) -> Encoded:
    """Ids and mask put together by hand from the template's words: each turn's own text, its end token included."""
    ids: list[int] = []
    own: list[bool] = []
    for m in messages:
        opening = tokenizer.encode(f"<|{m['role']}|>")
        text = tokenizer.encode(m["content"] + "<|end|>")
        ids += opening + text
        own += [False] * len(opening) + [m["role"] == "assistant"] * len(text)
    return Encoded(ids, own)


@pytest.fixture
def tokenizer(tiny_tokenizer: Callable[..., Any]) -> Any:
    return tiny_tokenizer()


@pytest.fixture
def rows(tokenizer: Any) -> list[Encoded]:
    return [encoded(tokenizer, conversation(i)) for i in range(10)]


def weights(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(path / "checkpoint" / "model.safetensors"))


def logged(path: Path, key: str) -> list[Any]:
    """One number of every line of a run's metrics that has it."""
    lines = (json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines())
    return [line[key] for line in lines if key in line]


def same(a: dict[str, Any], b: dict[str, Any], tolerance: float = 0.0) -> bool:
    import torch

    return a.keys() == b.keys() and all(torch.allclose(a[k], b[k], rtol=0, atol=tolerance) for k in a)


@pytest.mark.parametrize(
    "pad", ["<|pad|>", "<|end|>", "a"], ids=["neighbour of the end token", "the end token", "a word"]
)
def test_labels_are_the_own_tokens_and_nothing_else(tiny_tokenizer: Callable[..., Any], pad: str) -> None:
    from autollmresearch.training.own_tokens import OwnTokens

    tokenizer = tiny_tokenizer(pad)
    assert tokenizer.convert_tokens_to_ids("<|pad|>") == tokenizer.convert_tokens_to_ids("<|end|>") + 1
    rows = [encoded(tokenizer, conversation(i)) for i in (4, 0)]
    batch = OwnTokens(tokenizer.pad_token_id)([{"input_ids": r.ids, "assistant_masks": r.own} for r in rows])
    for r, ids, labels in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        n = len(r.ids)
        assert ids.tolist() == r.ids + [tokenizer.pad_token_id] * (len(ids) - n)
        assert labels.tolist() == [i if o else -100 for i, o in zip(r.ids, r.own, strict=True)] + [-100] * (
            len(ids) - n
        )
    learned = [tokenizer.decode([i for i in labels if i != -100]) for labels in batch["labels"]]
    assert learned == ["<think>so so so so </think><|end|>last<|end|>", "<think></think><|end|>last<|end|>"]


def from_scratch(tiny_tokenizer: Callable[..., Any]) -> Any:
    """The tokenizer that a model from scratch gets."""
    from autollmresearch.training.scratch import ModelSettings, make_tokenizer

    texts = ["\n".join(m["content"] for m in conversation(i)) for i in range(8)]
    return make_tokenizer(texts, ModelSettings(vocabulary=512))


@pytest.mark.parametrize(
    "make",
    [lambda tiny: tiny("<|pad|>"), lambda tiny: tiny("<|end|>"), from_scratch],
    ids=["pad is the neighbour of the end token", "pad is the end token", "from scratch"],
)
def test_our_rows_are_what_trl_makes_of_the_same_messages(
    tiny_tokenizer: Callable[..., Any], tiny_model: Callable[..., Any], tmp_path: Path, make: Callable[[Any], Any]
) -> None:
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from autollmresearch.training.own_tokens import OwnTokens

    tokenizer = make(tiny_tokenizer)
    messages = [conversation(i) for i in range(4)]
    stock = SFTTrainer(
        tiny_model(tokenizer),
        SFTConfig(
            str(tmp_path), assistant_only_loss=True, bf16=False, report_to="none", activation_checkpointing=False
        ),
        train_dataset=Dataset.from_list([{"messages": m} for m in messages]),
        processing_class=tokenizer,
    )
    assert stock.train_dataset is not None
    theirs = stock.data_collator([stock.train_dataset[i] for i in range(4)])
    chat = Chat(tokenizer)
    made = [chat.encode(m) for m in messages]
    ours = OwnTokens(tokenizer.pad_token_id)([{"input_ids": r.ids, "assistant_masks": r.own} for r in made])
    for name in ("input_ids", "labels"):
        assert ours[name].tolist() == theirs[name].tolist()
    # theirs hides padding with a mask, ours by standing to the right of all that is learned
    model = tiny_model(tokenizer).eval()
    assert model(**ours).loss.item() == pytest.approx(model(**theirs).loss.item(), rel=1e-6)


def test_it_learns_and_leaves_a_checkpoint_without_pickles(
    tokenizer: Any,
    tiny_model: Callable[..., Any],
    rows: list[Encoded],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = tiny_model(tokenizer)
    result = fine_tune(model, tokenizer, rows, replace(QUICK, epochs=4), tmp_path, title="learning")
    assert (result.rows, result.too_long, result.updates) == (10, 0, 12)
    assert 4 * sum(len(r.ids) for r in rows) < result.tokens < 5 * sum(len(r.ids) for r in rows)  # two rows repeat
    assert result.own_tokens == sum(sum(r.own) for r in rows)
    losses = logged(tmp_path, "loss")
    assert losses[-1] < losses[0] - 0.5
    assert result.loss == losses[-1]
    out, err = capfd.readouterr()
    assert out == ""
    assert "learning" in err
    assert "shards" not in err
    saved = tmp_path / "checkpoint"
    assert {p.suffix for p in saved.iterdir()} <= {".json", ".safetensors", ".jinja"}
    again = AutoModelForCausalLM.from_pretrained(saved)
    assert same(dict(again.state_dict()), {k: v for k, v in model.state_dict().items() if k in again.state_dict()})
    assert AutoTokenizer.from_pretrained(saved).chat_template == tokenizer.chat_template


def test_a_run_that_is_cut_off_ends_as_if_it_had_not_been(
    tokenizer: Any,
    tiny_model: Callable[..., Any],
    rows: list[Encoded],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from autollmresearch.training import own_tokens

    whole = fine_tune(tiny_model(tokenizer), tokenizer, rows, QUICK, tmp_path / "whole", progress=False)
    updates = iter(range(100))

    def dies(self: Any, *args: Any, **kwargs: Any) -> Any:
        if next(updates) == 4:
            raise KeyboardInterrupt
        return super(own_tokens.OwnTokensTrainer, self).training_step(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(own_tokens.OwnTokensTrainer, "training_step", dies, raising=False)
        with pytest.raises(KeyboardInterrupt):
            fine_tune(tiny_model(tokenizer), tokenizer, rows, QUICK, tmp_path / "cut", progress=False)
    assert not (tmp_path / "cut" / "checkpoint").exists()
    half_written = tmp_path / "cut" / "working" / "checkpoint-4"
    half_written.mkdir()
    (half_written / "trainer_state.json").write_text('{"epoch": 1')
    assert last_checkpoint(tmp_path / "cut" / "working") == half_written.with_name("checkpoint-3")
    result = fine_tune(tiny_model(tokenizer, seed=9), tokenizer, rows, QUICK, tmp_path / "cut", progress=False)
    assert (result.updates, result.tokens) == (whole.updates, whole.tokens)
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert logged(tmp_path / "cut", "loss") == logged(tmp_path / "whole", "loss")
    assert logged(tmp_path / "cut", "step") == logged(tmp_path / "whole", "step")
    assert capfd.readouterr() == ("", "")
    finished = fine_tune(tiny_model(tokenizer), tokenizer, rows, QUICK, tmp_path / "cut", progress=False)
    assert finished.updates == whole.updates
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_an_update_does_not_depend_on_how_its_rows_are_shared(
    tokenizer: Any, tiny_model: Callable[..., Any], rows: list[Encoded], tmp_path: Path
) -> None:
    for micro in (0, 1):
        settings = replace(QUICK, micro_batch=micro)
        fine_tune(tiny_model(tokenizer), tokenizer, rows, settings, tmp_path / str(micro), progress=False)
    # Adam divides small gradients by themselves, so rounding shows more in weights than in losses
    assert same(weights(tmp_path / "0"), weights(tmp_path / "1"), tolerance=2e-3)
    assert logged(tmp_path / "0", "loss") == pytest.approx(logged(tmp_path / "1", "loss"), rel=1e-4)


def test_bf16_autocast_keeps_the_weights_in_fp32(
    tokenizer: Any, tiny_model: Callable[..., Any], rows: list[Encoded], tmp_path: Path
) -> None:
    import torch

    model = tiny_model(tokenizer)
    result = fine_tune(model, tokenizer, rows, replace(QUICK, precision="bf16"), tmp_path, progress=False)
    assert result.loss is not None
    assert result.loss < 4.5
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_rows_that_are_too_long_are_left_out_and_counted(
    tokenizer: Any, tiny_model: Callable[..., Any], rows: list[Encoded], tmp_path: Path
) -> None:
    lengths = sorted(len(r.ids) for r in rows)
    settings = replace(QUICK, max_length=lengths[5])
    result = fine_tune(tiny_model(tokenizer), tokenizer, rows, settings, tmp_path / "a", progress=False)
    expected = [r for r in rows if len(r.ids) <= lengths[5]]
    assert (result.rows, result.too_long) == (len(expected), 10 - len(expected))
    assert result.own_tokens == sum(sum(r.own) for r in expected)
    with pytest.raises(StepProblem, match="no row to learn from: 10 rows are longer than max_length 3 tokens"):
        fine_tune(tiny_model(tokenizer), tokenizer, rows, replace(QUICK, max_length=3), tmp_path / "b", progress=False)
    with pytest.raises(StepProblem, match="no row to learn from: 0 rows are longer"):
        fine_tune(tiny_model(tokenizer), tokenizer, [], QUICK, tmp_path / "c", progress=False)


def test_a_data_set_on_disk_is_taken_too(
    tokenizer: Any, tiny_model: Callable[..., Any], rows: list[Encoded], tmp_path: Path
) -> None:
    from datasets import Dataset, load_from_disk

    columns = {"input_ids": [r.ids for r in rows], "assistant_masks": [[int(o) for o in r.own] for r in rows]}
    Dataset.from_dict(columns).save_to_disk(str(tmp_path / "rows"))
    settings = replace(QUICK, max_length=sorted(len(r.ids) for r in rows)[-2])
    results = [
        fine_tune(tiny_model(tokenizer), tokenizer, given, settings, tmp_path / name, progress=False)
        for name, given in (("list", rows), ("disk", load_from_disk(str(tmp_path / "rows"))))
    ]
    assert replace(results[0], seconds=0) == replace(results[1], seconds=0)
    assert same(weights(tmp_path / "list"), weights(tmp_path / "disk"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 4, "micro_batch": 3}, "batch_size 4 cannot be shared by 1 processes in micro-batches of 3"),
        ({"schedule": "cosin"}, "schedule is one of linear, cosine"),
        ({"report_to": "wandbb"}, "report_to is none, azure_ml, .*; found 'wandbb'"),
        ({"report_to": "swanlab"}, "report_to swanlab needs its package, which is not installed"),
    ],
)
def test_what_cannot_be_run_is_refused(
    tokenizer: Any, tiny_model: Callable[..., Any], rows: list[Encoded], tmp_path: Path, changes: Any, message: str
) -> None:
    with pytest.raises(InvalidRecipe, match=message):
        fine_tune(tiny_model(tokenizer), tokenizer, rows, replace(QUICK, **changes), tmp_path, progress=False)


@pytest.mark.parametrize("field", ["epochs", "batch_size", "learning_rate", "max_length", "save_every", "log_every"])
def test_settings_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(InvalidDescription, match=field):
        replace(QUICK, **{field: 0})  # type: ignore[arg-type]  # the fields are numbers
