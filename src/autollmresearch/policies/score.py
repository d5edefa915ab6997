"""Score: what a model thinks of every answer that it could give, instead of the one it would write.

Every legal, untried configuration is put into words with the thought that belongs to it (thoughts.py), and the model
says how likely it is to write just these words. Their shares are its probabilities of being best: an agent that was
taught by an expert learned how often each answer is the expert's. So no proposal is ever illegal or repeated, and the
answer reasons as the agent was taught to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autollmresearch.dialogue import Style, action
from autollmresearch.errors import CheckpointProblem
from autollmresearch.policies.cache import growing_cache
from autollmresearch.policy import State
from autollmresearch.thoughts import thought

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from llmconfig_gym.parameter import FloatArray

MOST = 512
"""Configurations that are scored at most; of more, those that the analyst expects most of."""

TOGETHER = 512
"""Tokens of answers read in one forward pass: more see more that is not theirs, fewer share less."""


@dataclass(frozen=True)
class Answers:
    """What could be answered in one state: n rows of its pool, and each as words."""

    rows: NDArray[np.int64]
    texts: list[str]


def answers(state: State, style: Style) -> Answers:
    """Every configuration not tried yet (of a pool that is spent, all), at most `MOST`."""
    rows = state.untried()
    if len(rows) == 0:
        rows = np.arange(len(state.problem.pool))
    if len(rows) > MOST:
        from autollmresearch.evidence.analyst import fit

        expected = fit(state.problem, state.trials).mean[rows]
        rows = np.sort(rows[np.argsort(expected, kind="stable")[:MOST]])
    configs = [state.problem.pool.config(int(row)) for row in rows]
    return Answers(rows, [action(c, thought(state, c, style)) for c in configs])


def shares(logprobs: Sequence[Sequence[float]]) -> FloatArray:
    """[n] probabilities from the log-probabilities of the tokens of n answers, which exclude one another."""
    total = np.array([sum(row) for row in logprobs])
    likelihood = np.exp(total - total.max())
    return np.asarray(likelihood / likelihood.sum())


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
