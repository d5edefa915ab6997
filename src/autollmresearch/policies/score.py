"""Score: what a model thinks of every answer that it could give, instead of the one it would write.

Every legal, untried configuration is put into words with the thought that belongs to it (thoughts.py), and the model
says how likely it is to write just these words, if it may write no others. Their shares are its probabilities of being
best: an agent that was taught by an expert learned how often each answer is the expert's. So no proposal is ever
illegal or repeated, and the answer reasons as the agent was taught to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autollmresearch.dialogue import Style, action
from autollmresearch.errors import CheckpointProblem
from autollmresearch.evidence.analyst import Known, believed
from autollmresearch.policies.cache import growing_cache
from autollmresearch.policy import State
from autollmresearch.thoughts import thought

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from llmconfig_gym.parameter import FloatArray

MOST = 256
"""Configurations that are put into words at most; of more, those that the analyst expects most of (to an agent without
its evidence it gives none of its knowledge: any)."""

TOKENS = 32_768
"""Tokens of answers at most, in the same order; fewer than half of them are asked about."""

TOGETHER = 512
"""Tokens of answers read in one forward pass: more see more that is not theirs, fewer share less."""


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


def weigh(
    model: PreTrainedModel, read: Sequence[int], ids: Sequence[Sequence[int]]
) -> tuple[list[list[float]], FloatArray]:
    """The model's opinion of n different answers, of which it may write only these.

    Returns:
        The log-probabilities of the tokens of each answer that are not forced, and the answers' probabilities [n].
    """
    short = decided(ids)
    of_each = constrained(short, logprobs(model, read, short))
    return of_each, np.exp([sum(values) for values in of_each])


def decided(ids: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Each of n different answers up to the last token at which there was a choice among them; at least one token.

    What follows is forced: the configuration of a candidate, once the thought has named it, or what was said of each
    setting. A model that may write only these answers has nothing to add there.
    """
    tree = _Tree()
    paths = [tree.path(answer) for answer in ids]
    ways: dict[int, set[int]] = defaultdict(set)
    for path, answer in zip(paths, ids, strict=True):
        for node, token in zip(path, answer, strict=True):
            ways[node].add(token)
    last = [max((i for i, node in enumerate(path) if len(ways[node]) > 1), default=0) for path in paths]
    return [answer[: i + 1] for answer, i in zip(ids, last, strict=True)]


def constrained(ids: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]]) -> list[list[float]]:
    """The log-probability of each token of n answers for a model that may write only these, as constrained decoding.

    After any beginning the model's probabilities are shared among the tokens with which one of the answers goes on.
    Their sum over an answer is the answer's log-probability; over all answers these probabilities sum to 1.

    Args:
        ids: tokens of each answer, none empty; none is the beginning of another.
        logprobs: the model's own for each token, given what stands before it.
    """
    tree = _Tree()
    paths = [tree.path(answer) for answer in ids]
    ways: dict[int, dict[int, float]] = defaultdict(dict)  # for each node, what may follow
    for path, answer, values in zip(paths, ids, logprobs, strict=True):
        for node, token, value in zip(path, answer, values, strict=True):
            ways[node][token] = value
    all_ways = {node: float(np.logaddexp.reduce([*way.values()])) for node, way in ways.items()}
    return [
        [v - all_ways[n] for n, v in zip(path, values, strict=True)]
        for path, values in zip(paths, logprobs, strict=True)
    ]


def probabilities(share: FloatArray, calibration: float) -> FloatArray:
    """[n] how probable each answer is to be the best, in proportion to `share ** (1 / calibration)`.

    A model that was taught one answer per question is too sure of it; one number, fitted to forecasts that came true or
    not, mends most of that (temperature scaling: Guo et al. 2017). It changes no order.
    """
    with np.errstate(divide="ignore"):
        logits = np.log(share) / calibration
    likelihood = np.exp(logits - logits.max())
    return np.asarray(likelihood / likelihood.sum())


def draw(share: FloatArray, temperature: float, rng: np.random.Generator) -> int:
    """One of the answers, with probability in proportion to `share ** (1 / temperature)`."""
    with np.errstate(divide="ignore"):
        return int(np.argmax(np.log(share) / temperature + rng.gumbel(size=len(share))))


def logprobs(model: PreTrainedModel, read: Sequence[int], said: Sequence[Sequence[int]]) -> list[list[float]]:
    """The log-probability of every token of each answer, after what was read.

    What was read is read once, and so is what several answers begin with: they are read as trees, in which a token sees
    those on its own branch alone.

    Args:
        read: ids, at least one.
        said: ids of n answers, none empty.

    Raises:
        CheckpointProblem: the model's attention has a window, so it cannot be told what a token sees.
    """
    import torch

    cache = growing_cache(model.config)
    if not cache.may_have_holes:
        raise CheckpointProblem(
            f"a {model.config.model_type} with a window of attention cannot score; decode otherwise"
        )
    result: list[list[float]] = [[] for _ in said]
    left = sorted(range(len(said)), key=lambda i: tuple(said[i]))  # those that begin alike stand together
    with torch.inference_mode():
        ids = torch.tensor([list(read)], device=model.device)
        logits = model(input_ids=ids, cache=cache, use_cache=True, logits_to_keep=1).logits[0].float()
        first = torch.log_softmax(logits, -1)
        while left:
            tree, paths = _Tree(), {}
            while left and len(tree.tokens) < TOGETHER:
                answer = left.pop(0)
                paths[answer] = tree.path(said[answer])
            known = torch.cat([first, _after(model, cache, len(read), tree)]) if tree.tokens else first
            nodes = torch.tensor([n for path in paths.values() for n in path], device=model.device)
            tokens = torch.tensor([t for i in paths for t in said[i]], device=model.device)
            values = iter(known[nodes, tokens].tolist())
            for i, path in paths.items():
                result[i] = [next(values) for _ in path]
    return result


class _Tree:
    """Answers as one sequence of tokens, in which what several begin with stands once.

    Nodes are numbered from 1, in the order of `tokens`; 0 is the end of what was read. The last token of an answer is
    none of them, for nothing is asked after it.
    """

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self._known: dict[tuple[int, int], int] = {}

    def path(self, answer: Sequence[int]) -> list[int]:
        """For each token of an answer, the node that it follows."""
        path = [0]
        for token in answer[:-1]:
            if (step := (path[-1], token)) not in self._known:
                self.tokens.append(token)
                self.parents.append(path[-1])
                self._known[step] = len(self.tokens)
            path.append(self._known[step])
        return path


def _after(model: PreTrainedModel, cache: Any, start: int, tree: _Tree) -> torch.Tensor:
    """[nodes, vocabulary] log-probabilities of what follows each node. The cache is left as it was."""
    import torch

    count = len(tree.tokens)
    sees = np.zeros((count + 1, count + 1), dtype=np.bool_)  # by number; 0 sees nothing of the tree
    depth = np.zeros(count + 1, dtype=np.int64)
    for node, parent in enumerate(tree.parents, start=1):
        sees[node], depth[node] = sees[parent], depth[parent] + 1
        sees[node, node] = True
    mask = torch.zeros(1, 1, count, start + count, dtype=model.dtype)
    mask[..., start:].masked_fill_(torch.from_numpy(~sees[1:, 1:]), torch.finfo(model.dtype).min)
    logits = model(
        input_ids=torch.tensor([tree.tokens], dtype=torch.long, device=model.device),
        attention_mask=mask.to(model.device),
        position_ids=torch.from_numpy(start - 1 + depth[None, 1:]).to(model.device),
        cache=cache,
        use_cache=True,
    ).logits[0]
    cache.crop(-count)
    return torch.log_softmax(logits.float(), -1)
