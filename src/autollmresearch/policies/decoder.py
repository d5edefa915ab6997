"""Decoder: continues many token sequences at once, keeping what it has already read.

One key-value cache lives across calls. A sequence that goes on from one of the last call is read from there on;
sequences that are alike are read once. Rows of different lengths share the cache with holes, which the attention mask
hides and the positions skip, so that nothing is ever moved or read again. What a row becomes depends on its tokens and
its random numbers alone (up to rounding), not on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from autollmresearch.policies.cache import growing_cache

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from llmconfig_gym.parameter import FloatArray

READ_AT_ONCE = 1 << 15
"""Tokens read in one forward pass, padding included: bounds the memory of the first reading of many long prompts."""


@dataclass(frozen=True)
class Written:
    """What one row wrote: its ids, the end token included if it came to it, and the log-probability of each."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]


class Decoder:
    """Writes with a causal language model.

    Args:
        model: in evaluation mode; may change between calls if `forget` is called.
        end_id: the token that ends an answer.
    """

    def __init__(self, model: PreTrainedModel, end_id: int) -> None:
        self.model, self.end_id = model, end_id
        self.forget()

    def forget(self) -> None:
        """Drop the cache: what it holds was read with other weights, or will not be gone on from."""
        self._rows: list[list[int]] = []
        self._cache: Any = None
        self._mask: torch.Tensor | None = None  # [rows, columns] whether a column of the cache is a token of the row

    def write(
        self, sequences: Sequence[Sequence[int]], uniforms: FloatArray, *, temperature: float, limits: Sequence[int]
    ) -> list[Written]:
        """Go on from each sequence until its end token or its limit.

        Args:
            sequences: n rows of ids, none empty.
            uniforms: [n, at least max(limits)] numbers in [0, 1) that decide what is drawn.
            temperature: 0 takes the most likely token (log-probabilities are then those at temperature 1).
            limits: the most tokens that each row may write.
        """
        width = max(limits, default=0)
        if width <= 0:
            return [Written((), ()) for _ in sequences]
        try:
            return self._write(sequences, uniforms, temperature, limits, width)
        except BaseException:
            self.forget()  # cut off in the middle, the cache is no longer what it is thought to be
            raise

    def _write(
        self,
        sequences: Sequence[Sequence[int]],
        uniforms: FloatArray,
        temperature: float,
        limits: Sequence[int],
        width: int,
    ) -> list[Written]:
        import torch

        device = self.model.device
        draws = torch.as_tensor(uniforms[:, :width], dtype=torch.float64, device=device)
        limit = torch.as_tensor(list(limits), device=device)
        with torch.inference_mode():
            logits = self._read([list(s) for s in sequences])
            running = limit > 0
            ids, logprobs, kept = [], [], []
            for step in range(width):
                chosen, logprob = draw(logits, draws[:, step], temperature)
                ids.append(chosen)
                logprobs.append(logprob)
                kept.append(running)
                going = running & (chosen != self.end_id) & (limit > step + 1)
                if not going.any():
                    break
                logits = self._forward(chosen[:, None], going[:, None])
                running = going
            counts = torch.stack(kept, 1).sum(1)
            columns = [torch.stack(ids, 1).tolist(), torch.stack(logprobs, 1).tolist(), counts.tolist()]
        written = [Written(tuple(i[:n]), tuple(p[:n])) for i, p, n in zip(*columns, strict=True)]
        for row, w in zip(self._rows, written, strict=True):
            row += w.ids[:-1]  # the last one was written, but never read
        return written

    def _read(self, sequences: list[list[int]]) -> torch.Tensor:
        """Read what is new of each sequence; the logits after its last token, [n, vocabulary]."""
        import torch

        source = self._continued(sequences)
        if source is None:
            self.forget()
            distinct = list(dict.fromkeys(map(tuple, sequences)))
            logits = self._append([list(s) for s in distinct])
            place = {s: i for i, s in enumerate(distinct)}
            index = torch.tensor([place[tuple(s)] for s in sequences], device=logits.device)
            self._select(index)
            logits = logits[index]
        else:
            self._select(torch.tensor(source, device=self.model.device))
            logits = self._append([s[len(self._rows[i]) :] for i, s in zip(source, sequences, strict=True)])
        self._rows = sequences
        return logits

    def _continued(self, sequences: list[list[int]]) -> list[int] | None:
        """For each sequence the row of the cache that it goes on from; None if there is one without."""
        if self._cache is None or not self._cache.may_have_holes:
            return None
        rows = {tuple(row): i for i, row in enumerate(self._rows)}
        lengths = sorted({len(row) for row in self._rows}, reverse=True)
        found = []
        for s in sequences:
            prefix = next((k for n in lengths if n < len(s) and (k := tuple(s[:n])) in rows), None)
            if prefix is None:
                return None
            found.append(rows[prefix])
        return found

    def _select(self, index: torch.Tensor) -> None:
        """Rows of the cache by index, in that order; one may be taken several times."""
        assert self._mask is not None
        if index.tolist() != list(range(len(self._mask))):
            self._cache.batch_select_indices(index)
            self._mask = self._mask[index]

    def _append(self, new: list[list[int]]) -> torch.Tensor:
        """Read these tokens at the end of each row, in pieces if they are many; the logits after the last ones."""
        import torch

        width = max(map(len, new))
        ids = torch.zeros(len(new), width, dtype=torch.long)
        real = torch.zeros(len(new), width, dtype=torch.bool)
        for i, row in enumerate(new):  # holes on the left: the last token of each row is in the last column
            ids[i, width - len(row) :] = torch.tensor(row)
            real[i, width - len(row) :] = True
        step = max(1, READ_AT_ONCE // len(new))
        bounds = [*range(0, width, step), width]
        logits = None
        for a, b in pairwise(bounds):
            logits = self._forward(ids[:, a:b].to(self.model.device), real[:, a:b].to(self.model.device))
        assert logits is not None
        return logits

    def _forward(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """One forward pass over new columns; the logits at the last one, [rows, vocabulary] in single precision."""
        import torch

        if self._cache is None:
            self._cache = growing_cache(self.model.config)
        before = 0 if self._mask is None else self._mask.sum(1, keepdim=True)
        self._mask = real if self._mask is None else torch.cat([self._mask, real], dim=1)
        positions = (before + real.cumsum(1) - 1).clamp(min=0)
        out = self.model(
            input_ids=ids,
            attention_mask=self._mask.long(),
            position_ids=positions,
            cache=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()  # type: ignore[no-any-return]


def draw(logits: torch.Tensor, uniforms: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """One token for each row of logits [n, vocabulary] by inversion of its distribution, and its log-probability."""
    import torch

    logprobs = torch.log_softmax(logits / temperature if temperature > 0 else logits, dim=-1)
    if temperature > 0:
        cumulative = logprobs.double().exp().cumsum(-1)
        chosen = torch.searchsorted(cumulative, uniforms.double()[:, None] * cumulative[:, -1:], right=True)[:, 0]
        possible = logprobs.isfinite().double().cumsum(-1).argmax(-1)  # the last token with any probability at all
        chosen = torch.minimum(chosen, possible)
    else:
        chosen = logits.argmax(-1)
    return chosen, logprobs.gather(1, chosen[:, None])[:, 0]
