"""Score: what a model thinks of every answer that it could give, instead of the one it would write.

Every legal, untried configuration is put into words with the thought that belongs to it (thoughts.py), and the model
says how likely it is to write just these words, if it may write no others. Their shares are its probabilities of being
best: an agent that was taught by an expert learned how often each answer is the expert's. So no proposal is ever
illegal or repeated, and the answer reasons as the agent was taught to.

The analyst's possible worlds (evidence/posterior.py) may have a say beside the model: `choose` weighs each world by
what the model thinks of the configuration that is best in it, and gives the answer that is expected to lose least.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autollmresearch.dialogue import Style, action
from autollmresearch.evidence.analyst import Known, believed
from autollmresearch.policies.cache import growing_cache
from autollmresearch.policy import State
from autollmresearch.thoughts import thought

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from llmconfig_gym.parameter import FloatArray

MOST = 256
"""Configurations that are put into words at most; of more, those that the analyst expects most of (to an agent without
its evidence it gives none of its knowledge: any)."""

TOKENS = 4096
"""Tokens of answers that are scored at most, in the same order: about half a second of one core for two million
weights."""

TOGETHER = 1 << 13
"""Tokens of answers read in one forward pass, padding included: bounds the memory of many long answers."""


@dataclass(frozen=True)
class Answers:
    """What could be answered in one state: n rows of its pool, and each as words and as token ids."""

    rows: NDArray[np.int64]
    texts: list[str]
    ids: list[list[int]]


def answers(state: State, style: Style, words: Callable[[str], list[int]]) -> Answers:
    """Every configuration not tried yet (of a pool that is spent, all), at most `MOST` and `TOKENS` in all."""
    rows = state.untried()
    if len(rows) == 0:
        rows = np.arange(len(state.problem.pool))
    if style.evidence:
        order = np.argsort(believed(Known(state.problem, state.trials)).mean[rows], kind="stable")
    else:
        order = np.random.default_rng(len(rows)).permutation(len(rows))
    rows = rows[order[:MOST]]
    configs = [state.problem.pool.config(int(row)) for row in rows]
    texts = [action(c, thought(state, c, style)) for c in configs]
    ids = [words(text) for text in texts]
    fit = max(1, int(np.searchsorted(np.cumsum([len(i) for i in ids]), TOKENS, side="right")))
    return Answers(rows[:fit], texts[:fit], ids[:fit])


def shares(ids: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]]) -> FloatArray:
    """[n] the probability of each of n different answers, if the model could write only these.

    After any beginning the model's probabilities are shared among the tokens with which one of the answers goes on, as
    in constrained decoding. So where only one way is left, as in the configuration of a candidate that the thought has
    named, nothing is lost to the numbers that the model might have got wrong.

    Args:
        ids: tokens of each answer, none empty; none is the beginning of another.
        logprobs: of each token, given what stands before it.
    """
    nodes: dict[tuple[int, int], int] = {}  # (node, token) -> the node after it; 0 is the beginning
    ways: list[dict[int, float]] = [{}]  # for each node the log-probabilities of the tokens that may follow
    paths = []
    for tokens, values in zip(ids, logprobs, strict=True):
        path = [0]
        for token, value in zip(tokens, values, strict=True):
            ways[path[-1]][token] = value
            after = nodes.setdefault((path[-1], token), len(ways))
            if after == len(ways):
                ways.append({})
            path.append(after)
        paths.append(path)
    lost = [float(np.logaddexp.reduce([*way.values()])) if way else 0.0 for way in ways]
    return _softmax(np.array([sum(v) - sum(lost[n] for n in p) for v, p in zip(logprobs, paths, strict=True)]))


def choose(state: State, rows: NDArray[np.int64], share: FloatArray, trust: float) -> tuple[int, FloatArray]:
    """Which of the answers to give, and how probable each is to be the best of them.

    With a trust of 0 the model's shares are the probabilities, and the likeliest is given. Otherwise a logarithmic pool
    (Genest & Zidek 1986): world s of the analyst weighs `share[best in s] ** (1 / trust)`; a configuration's
    probability is the weight of the worlds in which it is best, and that is given whose outcome, together with what
    was told, is expected to leave the least loss. The larger the trust, the less say has the model.

    Args:
        rows: [n] of the pool, what can be answered.
        share: [n] the model's probabilities.
        trust: at least 0.
    """
    if trust == 0:
        return int(np.argmax(share)), share
    posterior = believed(Known(state.problem, state.trials))
    samples = posterior.samples[:, rows]  # [worlds, n]
    winners = samples.argmin(axis=1)
    with np.errstate(divide="ignore"):
        weight = _softmax(np.maximum(np.log(share[winners]), -1e3) / trust)
    told = posterior.samples[:, posterior.told]
    held = np.minimum(samples, told.min(axis=1, keepdims=True)) if len(posterior.told) else samples
    expected = weight @ held
    near = np.flatnonzero(expected <= expected.min() + 1e-12 * (1 + abs(float(expected.min()))))
    first = int(near[np.argmin((weight @ samples)[near])])
    return first, np.bincount(winners, weights=weight, minlength=len(rows)).astype(np.float64)


def draw(share: FloatArray, temperature: float, rng: np.random.Generator) -> int:
    """One of the answers, with probability in proportion to `share ** (1 / temperature)`."""
    with np.errstate(divide="ignore"):
        return int(np.argmax(np.log(share) / temperature + rng.gumbel(size=len(share))))


def _softmax(logits: FloatArray) -> FloatArray:
    likelihood = np.exp(logits - logits.max())
    return np.asarray(likelihood / likelihood.sum())


def logprobs(model: PreTrainedModel, read: Sequence[int], said: Sequence[Sequence[int]]) -> list[list[float]]:
    """The log-probability of every token of each answer, after what was read.

    What was read, and what all answers begin with, is read once.

    Args:
        read: ids, at least one.
        said: ids of n answers, none empty.
    """
    import torch

    columns = zip(*(s[:-1] for s in said), strict=False)  # at least one token of each is left to read
    same = len(list(takewhile(lambda column: len(set(column)) == 1, columns)))
    start = [*read, *said[0][:same]]
    result: list[list[float]] = []
    with torch.inference_mode():
        cache = growing_cache(model.config)
        ids = torch.tensor([start], device=model.device)
        logits = model(input_ids=ids, cache=cache, use_cache=True, logits_to_keep=same + 1).logits[0].float()
        known = torch.log_softmax(logits, -1)  # [same + 1, vocabulary]
        shared = [float(known[i, said[0][i]]) for i in range(same)]
        width = max(map(len, said)) - same
        step = max(1, TOGETHER // width)
        for first in range(0, len(said), step):
            rest = [list(s[same:]) for s in said[first : first + step]]
            padded = torch.zeros(len(rest), width, dtype=torch.long)  # on the right, where it hides nothing
            for i, row in enumerate(rest):
                padded[i, : len(row)] = torch.tensor(row)
            padded = padded.to(model.device)
            copies = deepcopy(cache)
            copies.batch_select_indices(torch.zeros(len(rest), dtype=torch.long, device=model.device))
            logits = model(input_ids=padded, cache=copies, use_cache=True).logits.float()
            before = torch.cat([known[-1].expand(len(rest), 1, -1), torch.log_softmax(logits[:, :-1], -1)], dim=1)
            chosen = before.gather(-1, padded[..., None])[..., 0].tolist()
            result += [[*shared, *row[: len(r)]] for row, r in zip(chosen, rest, strict=True)]
    return result
