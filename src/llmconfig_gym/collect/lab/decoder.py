"""A tiny pre-norm decoder whose weights are stacked over R replicas, so that R of them train at once.

What it promises: replica r of a stack computes what a decoder of its own would compute. Every operation
is batched over the leading replica dimension and none reduces over it, so a replica that diverges to NaN
leaves the bits of its neighbours alone.

One step of one tiny decoder is mostly overhead: a few hundred kernel launches on matrices of a few
kilobytes. A sweep has many configurations of the same shape and batch size that differ in learning rate
and seed only, and stacking those pays the overhead once for all of them.

The network is GPT-2's (Radford et al. 2019) without biases and with parameter-free layer norms (a gain
could be folded into the matrix that follows): token plus learned position embedding; per layer
x += attention(norm(x)), x += mlp(norm(x)) with GELU; norm; an untied output matrix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.errors import CollectError


@dataclass(frozen=True)
class Layer:
    """Weights of one layer of R replicas. All are applied from the right: y = x @ weight."""

    attention_in: Tensor  # [R, width, 3 * width]: queries, keys, values
    attention_out: Tensor  # [R, width, width]
    mlp_in: Tensor  # [R, width, hidden]
    mlp_out: Tensor  # [R, hidden, width]


class StackedDecoder:
    """R decoders of one shape. Their weights are views of one [R, P] tensor; the gradients fill another.

    The flat tensors are what an optimizer works on: one row per replica makes per-replica learning
    rates, norms and clipping one line each.
    """

    def __init__(self, shape: DecoderShape, replicas: int, device: torch.device | str = "cpu") -> None:
        self.shape = shape
        self.replicas = replicas
        self.weights = torch.zeros(replicas, shape.all_parameters, device=device)
        self.gradients = torch.zeros_like(self.weights)
        self._used = 0
        width, hidden = shape.width, shape.hidden
        self.token_embedding = self._view(shape.vocab, width)
        self.position_embedding = self._view(shape.context, width)
        self.layers = tuple(
            Layer(
                self._view(width, 3 * width),
                self._view(width, width),
                self._view(width, hidden),
                self._view(hidden, width),
            )
            for _ in range(shape.layers)
        )
        self.output = self._view(width, shape.vocab)

    def _view(self, rows: int, columns: int) -> Tensor:
        """The next weight matrix, [R, rows, columns]."""
        start, self._used = self._used, self._used + rows * columns
        return self.weights[:, start : self._used].view(self.replicas, rows, columns).requires_grad_()

    def matrices(self) -> Iterator[Tensor]:
        """Every weight, [R, rows, columns] each, in the order of the columns of `weights`."""
        yield self.token_embedding
        yield self.position_embedding
        for layer in self.layers:
            yield from (layer.attention_in, layer.attention_out, layer.mlp_in, layer.mlp_out)
        yield self.output

    def initialise(self, seeds: Sequence[int]) -> None:
        """Draw the weights of replica r from `seeds[r]` alone.

        Normal with standard deviation 1/sqrt(fan in); embeddings 0.1 each; the two matrices that write to the
        residual stream are divided by sqrt(2 * layers), and the output starts small so that the first loss is
        that of the uniform distribution.
        """
        if len(seeds) != self.replicas:
            raise CollectError(f"one seed per replica is needed, found {len(seeds)} for {self.replicas} replicas.")
        width, residual = self.shape.width, 1 / math.sqrt(2 * self.shape.layers)
        per_layer = (
            1 / math.sqrt(width),
            residual / math.sqrt(width),
            1 / math.sqrt(width),
            residual / math.sqrt(self.shape.hidden),
        )
        scales = (0.1, 0.1, *per_layer * self.shape.layers, 0.1 / math.sqrt(width))
        with torch.no_grad():
            for replica, seed in enumerate(seeds):
                generator = torch.Generator().manual_seed(seed)  # on the CPU: the same start on every device
                for matrix, scale in zip(self.matrices(), scales, strict=True):
                    draw = torch.randn(matrix.shape[1:], generator=generator) * scale
                    matrix[replica].copy_(draw)

    def logits(self, tokens: Tensor) -> Tensor:
        """Next-token logits [R, B, T, vocab] of `tokens` [R, B, T], int64, T at most the context."""
        replicas, batch, length = tokens.shape
        shape = self.shape
        width, heads = shape.width, shape.heads
        offsets = torch.arange(replicas, device=tokens.device).view(-1, 1, 1) * shape.vocab
        table = self.token_embedding.reshape(replicas * shape.vocab, width)
        x = F.embedding(tokens + offsets, table) + self.position_embedding[:, None, :length]
        x = x.view(replicas, batch * length, width)
        for layer in self.layers:
            mixed = torch.bmm(F.layer_norm(x, (width,)), layer.attention_in)
            split = mixed.view(replicas * batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(split[0], split[1], split[2], is_causal=True)
            attended = attended.transpose(1, 2).reshape(replicas, batch * length, width)
            x = torch.baddbmm(x, attended, layer.attention_out)
            hidden = F.gelu(torch.bmm(F.layer_norm(x, (width,)), layer.mlp_in))
            x = torch.baddbmm(x, hidden, layer.mlp_out)
        out = torch.bmm(F.layer_norm(x, (width,)), self.output)
        return out.view(replicas, batch, length, shape.vocab)

    def losses(self, sequences: Tensor) -> Tensor:
        """Mean next-token cross-entropy of each replica in nats, [R], on `sequences` [R, B, T + 1]."""
        logits = self.logits(sequences[..., :-1])
        each = F.cross_entropy(logits.flatten(0, 2), sequences[..., 1:].flatten(), reduction="none")
        return each.view(self.replicas, -1).mean(dim=1)

    def backward(self, losses: Tensor) -> None:
        """Write the gradient of each replica's loss, `losses` [R], to its row of `gradients` [R, P]."""
        gradients = torch.autograd.grad(losses.sum(), tuple(self.matrices()))
        torch.cat([gradient.flatten(1) for gradient in gradients], dim=1, out=self.gradients)
