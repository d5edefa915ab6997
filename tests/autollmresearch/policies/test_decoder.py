"""The decoder: what it writes and its log-probabilities are those of the model on the plain sequence, cache or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from autollmresearch.policies import decoder as module
from autollmresearch.policies.decoder import Decoder, Written, draw

END = 1


def recomputed(model: Any, sequence: list[int], written: Written, temperature: float = 1.0) -> list[float]:
    """Log-probabilities of what was written, from one plain forward pass over everything."""
    ids = torch.tensor([[*sequence, *written.ids]])
    with torch.no_grad():
        logprobs = torch.log_softmax(model(input_ids=ids).logits[0] / temperature, dim=-1)
    return [float(logprobs[len(sequence) - 1 + i, id_]) for i, id_ in enumerate(written.ids)]


def sequences(*lengths: int) -> list[list[int]]:
    rng = np.random.default_rng(sum(lengths))
    return [rng.integers(4, 250, size=n).tolist() for n in lengths]


def uniforms(rows: int, width: int = 40, seed: int = 0) -> Any:
    return np.random.default_rng(seed).random((rows, width))


@pytest.mark.parametrize("temperature", [0.8, 1.0])
def test_log_probabilities_are_the_models_over_many_turns(tiny_model: Any, temperature: float) -> None:
    decoder = Decoder(tiny_model, END)
    rows = sequences(3, 17, 40, 17)
    for turn in range(4):
        limits = [5 + turn, 12, 1, 20]
        written = decoder.write(rows, uniforms(4, seed=turn), temperature=temperature, limits=limits)
        for row, w, limit in zip(rows, written, limits, strict=True):
            assert 1 <= len(w.ids) <= limit
            assert w.logprobs == pytest.approx(recomputed(tiny_model, row, w, temperature), abs=1e-4)
        rows = [[*r, *w.ids, *s] for r, w, s in zip(rows, written, sequences(9, 4, 6, 2 + turn), strict=True)]


def test_a_row_does_not_depend_on_the_rows_beside_it(tiny_model: Any) -> None:
    rows, draws = sequences(30, 5, 11), uniforms(3)
    together = Decoder(tiny_model, END).write(rows, draws, temperature=1.0, limits=[40] * 3)
    for i, row in enumerate(rows):
        alone = Decoder(tiny_model, END).write([row], draws[i : i + 1], temperature=1.0, limits=[40])[0]
        assert alone.ids == together[i].ids
        assert alone.logprobs == pytest.approx(together[i].logprobs, abs=1e-4)


def test_what_was_read_is_not_read_again(tiny_model: Any) -> None:
    read: list[int] = []
    hook = tiny_model.register_forward_pre_hook(lambda _, a, k: read.append(k["input_ids"].numel()), with_kwargs=True)
    try:
        decoder = Decoder(tiny_model, END)
        prompt = sequences(50)[0]
        written = decoder.write([prompt] * 6, uniforms(6), temperature=1.0, limits=[3] * 6)
        assert read[0] == 50, "six rows with one prompt read it once"
        read.clear()
        decoder.write([[*prompt, *w.ids, 7, 8] for w in written], uniforms(6), temperature=1.0, limits=[1] * 6)
        longest = max(len(w.ids) for w in written)
        assert read[0] <= 6 * 3, f"a turn reads the last token of {longest} written and the two that are new"
    finally:
        hook.remove()


def test_rows_may_leave_come_back_and_change_their_order(tiny_model: Any) -> None:
    decoder = Decoder(tiny_model, END)
    rows = sequences(8, 12, 9)
    first = decoder.write(rows, uniforms(3), temperature=1.0, limits=[6] * 3)
    went_on = [[*r, *w.ids, 5, 6] for r, w in zip(rows, first, strict=True)]
    for chosen in ([went_on[2], went_on[0]], [went_on[0], rows[1]], [went_on[1]]):
        written = decoder.write(chosen, uniforms(3, seed=3)[: len(chosen)], temperature=1.0, limits=[6] * len(chosen))
        for row, w in zip(chosen, written, strict=True):
            assert w.logprobs == pytest.approx(recomputed(tiny_model, row, w), abs=1e-4)


def test_long_prompts_are_read_in_pieces(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sequences(70, 31)
    whole = Decoder(tiny_model, END).write(rows, uniforms(2), temperature=1.0, limits=[9, 9])
    monkeypatch.setattr(module, "READ_AT_ONCE", 16)
    pieces = Decoder(tiny_model, END).write(rows, uniforms(2), temperature=1.0, limits=[9, 9])
    assert [w.ids for w in pieces] == [w.ids for w in whole]
    assert pieces[1].logprobs == pytest.approx(recomputed(tiny_model, rows[1], pieces[1]), abs=1e-4)


def test_writing_stops_at_the_end_token_and_at_the_limit(tiny_model: Any) -> None:
    rows = sequences(6) * 60
    written = Decoder(tiny_model, END).write(rows, uniforms(60), temperature=2.0, limits=[40] * 60)
    ended = [w for w in written if END in w.ids]
    assert ended, "some came to their end"
    assert all(w.ids.index(END) == len(w.ids) - 1 for w in ended)
    assert all(len(w.ids) == 40 for w in written if END not in w.ids)
    assert Decoder(tiny_model, END).write(rows[:1], uniforms(1), temperature=0.0, limits=[0]) == [Written((), ())]


def test_a_token_is_drawn_as_often_as_it_is_likely() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -50.0]]).repeat(20_000, 1)
    chosen, logprobs = draw(logits, torch.as_tensor(uniforms(20_000, 1)[:, 0]), temperature=0.5)
    expected = torch.softmax(logits[0] / 0.5, -1)
    shares = torch.bincount(chosen, minlength=4) / 20_000
    assert torch.allclose(shares, expected, atol=0.012)
    assert torch.allclose(logprobs.exp(), expected[chosen], atol=1e-6)
    assert draw(logits[:1], torch.tensor([1.0 - 1e-7]), 1.0)[0] == 2, "the last one with any probability at all"


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-26, 1 - 2**-53])
def test_an_impossible_token_is_never_drawn(uniform: float) -> None:
    logits = torch.tensor([[-torch.inf, 5.0, 0.0, -torch.inf]])
    chosen, logprob = draw(logits, torch.tensor([uniform], dtype=torch.float64), 1.0)
    assert int(chosen) in (1, 2)
    assert torch.isfinite(logprob).all()


@pytest.mark.parametrize("failing", [1, 3])
def test_a_call_that_was_cut_off_leaves_nothing_behind(tiny_model: Any, failing: int) -> None:
    rows = sequences(12, 7)
    decoder = Decoder(tiny_model, END)
    first = decoder.write(rows, uniforms(2), temperature=1.0, limits=[6, 6])
    rows = [[*r, *w.ids, 5] for r, w in zip(rows, first, strict=True)]
    calls = 0

    def fail(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise KeyboardInterrupt

    hook = tiny_model.model.norm.register_forward_hook(fail)
    try:
        with pytest.raises(KeyboardInterrupt):
            decoder.write(rows, uniforms(2, seed=1), temperature=1.0, limits=[6, 6])
    finally:
        hook.remove()
    for row, w in zip(rows, decoder.write(rows, uniforms(2, seed=1), temperature=1.0, limits=[6, 6]), strict=True):
        assert w.logprobs == pytest.approx(recomputed(tiny_model, row, w), abs=1e-4)


def test_the_most_likely_token_is_taken_at_temperature_zero() -> None:
    chosen, logprobs = draw(torch.tensor([[0.0, 3.0, 1.0]]), torch.tensor([0.99]), temperature=0.0)
    assert chosen.tolist() == [1]
    assert float(logprobs) == pytest.approx(3 - np.log(1 + np.exp(3) + np.e))
