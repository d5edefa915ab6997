"""The architecture of a tiny decoder and what it costs. No PyTorch here: settings are read without it."""

from __future__ import annotations

from dataclasses import dataclass

from llmconfig_gym.errors import CollectError


@dataclass(frozen=True)
class DecoderShape:
    """The architecture of a decoder; `width` must be a multiple of `heads`.

    Raises CollectError for a size below one or a width that the heads do not divide.
    """

    layers: int
    width: int
    heads: int
    mlp_ratio: float
    context: int
    vocab: int

    def __post_init__(self) -> None:
        if min(self.layers, self.width, self.heads, self.context, self.vocab, self.hidden) < 1:
            raise CollectError(f"every size of a decoder must be at least one, found {self}.")
        if self.width % self.heads:
            raise CollectError(f"the width must be a multiple of the heads, found {self.width} and {self.heads}.")

    @property
    def hidden(self) -> int:
        """Width of the MLP's hidden layer."""
        return round(self.mlp_ratio * self.width)

    @property
    def parameters(self) -> int:
        """N without the embeddings and the output matrix, as in Kaplan et al. (2020), arXiv 2001.08361."""
        return self.layers * (4 * self.width**2 + 2 * self.width * self.hidden)

    @property
    def all_parameters(self) -> int:
        """Every weight: layers, token and position embeddings, output matrix."""
        return self.parameters + (2 * self.vocab + self.context) * self.width

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations of a forward and backward pass, per token.

        6 per weight that is multiplied (layers and output), and 12 * layers * width * context for the
        attention scores and values (Chowdhery et al. 2022, arXiv 2204.02311, appendix B, not halved for
        the causal mask).
        """
        return 6 * (self.parameters + self.width * self.vocab) + 12 * self.layers * self.width * self.context
