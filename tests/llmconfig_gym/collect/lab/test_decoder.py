"""R stacked replicas are R decoders; each is the network that a plain torch.nn module says it is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.errors import CollectError

SHAPE = DecoderShape(layers=2, width=16, heads=2, mlp_ratio=4, context=12, vocab=23)
SEEDS = (3, 4, 5)


class Reference(nn.Module):
    """The same network in ordinary modules, with attention written out."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.tokens = nn.Embedding(shape.vocab, width)
        self.positions = nn.Embedding(shape.context, width)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.Linear(width, 3 * width, bias=False),
                    nn.Linear(width, width, bias=False),
                    nn.Linear(width, shape.hidden, bias=False),
                    nn.Linear(shape.hidden, width, bias=False),
                ]
            )
            for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.output = nn.Linear(width, shape.vocab, bias=False)

    def forward(self, sequences: Tensor) -> Tensor:
        """Mean loss of `sequences` [B, T + 1]."""
        inputs, targets = sequences[:, :-1], sequences[:, 1:]
        length = inputs.shape[1]
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        x = self.tokens(inputs) + self.positions(torch.arange(length))
        for attention_in, attention_out, mlp_in, mlp_out in self.layers:  # type: ignore[misc]
            heads = attention_in(self.norm(x)).unflatten(-1, (3, self.heads, -1))
            q, k, v = (heads[:, :, part].transpose(1, 2) for part in range(3))
            scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(future, -torch.inf)
            x = x + attention_out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
            x = x + mlp_out(nn.functional.gelu(mlp_in(self.norm(x))))
        loss: Tensor = nn.functional.cross_entropy(self.output(self.norm(x)).flatten(0, 1), targets.flatten())
        return loss

    def load(self, decoder: StackedDecoder, replica: int) -> None:
        for (name, parameter), matrix in zip(self.named_parameters(), decoder.matrices(), strict=True):
            embedding = name in ("tokens.weight", "positions.weight")
            parameter.data.copy_(matrix[replica] if embedding else matrix[replica].T)

    def flat_gradient(self) -> Tensor:
        embeddings = [self.tokens.weight.grad, self.positions.weight.grad]
        linears = [m.weight.grad for m in self.modules() if isinstance(m, nn.Linear)]
        parts = [g for g in embeddings if g is not None] + [g.T for g in linears if g is not None]
        return torch.cat([part.flatten() for part in parts])


def _decoder(seeds: tuple[int, ...]) -> StackedDecoder:
    decoder = StackedDecoder(SHAPE, len(seeds))
    decoder.initialise(seeds)
    with torch.no_grad():  # the small initial output would hide differences
        decoder.output *= 10
    return decoder


def _sequences(replicas: int = len(SEEDS)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(SHAPE.vocab, (replicas, 4, SHAPE.context + 1), generator=generator)


def test_stacked_equals_plain_reference_in_loss_and_gradient() -> None:
    decoder, sequences = _decoder(SEEDS), _sequences()
    losses = decoder.losses(sequences)
    decoder.backward(losses)
    for replica in range(len(SEEDS)):
        reference = Reference(SHAPE)
        reference.load(decoder, replica)
        loss = reference(sequences[replica])
        loss.backward()
        torch.testing.assert_close(losses[replica], loss, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(decoder.gradients[replica], reference.flat_gradient(), rtol=1e-4, atol=1e-6)


def test_stacked_equals_separate_replicas() -> None:
    decoder, sequences = _decoder(SEEDS), _sequences()
    losses = decoder.losses(sequences)
    decoder.backward(losses)
    for replica, seed in enumerate(SEEDS):
        alone = _decoder((seed,))
        assert torch.equal(alone.weights[0], decoder.weights[replica])
        loss = alone.losses(sequences[replica : replica + 1])
        alone.backward(loss)
        torch.testing.assert_close(losses[replica], loss[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(decoder.gradients[replica], alone.gradients[0], rtol=1e-4, atol=1e-6)


def test_a_replica_of_nans_leaves_the_others_bit_identical() -> None:
    sequences = _sequences()
    healthy, sick = _decoder(SEEDS), _decoder(SEEDS)
    with torch.no_grad():
        sick.weights[1] = torch.nan
    for decoder in (healthy, sick):
        decoder.backward(decoder.losses(sequences))
    assert sick.losses(sequences)[1].isnan()
    for replica in (0, 2):
        assert torch.equal(sick.losses(sequences)[replica], healthy.losses(sequences)[replica])
        assert torch.equal(sick.gradients[replica], healthy.gradients[replica])


def test_the_future_is_hidden() -> None:
    decoder, tokens = _decoder(SEEDS), _sequences()[..., :-1]
    changed = tokens.clone()
    changed[..., 7:] = (changed[..., 7:] + 1) % SHAPE.vocab
    before, after = decoder.logits(tokens), decoder.logits(changed)
    assert torch.equal(before[:, :, :7], after[:, :, :7])
    assert not torch.allclose(before[:, :, 7:], after[:, :, 7:])


def test_first_loss_is_near_uniform() -> None:
    decoder = StackedDecoder(SHAPE, 2)
    decoder.initialise((0, 1))
    uniform = torch.tensor(float(SHAPE.vocab)).log()
    assert (decoder.losses(_sequences(2)) - uniform).abs().max() < 0.05


def test_counts_of_a_known_shape() -> None:
    assert SHAPE.parameters == 2 * 12 * 16**2
    assert SHAPE.all_parameters == StackedDecoder(SHAPE, 1).weights.numel()
    assert SHAPE.all_parameters == sum(m.numel() for m in StackedDecoder(SHAPE, 1).matrices())
    assert SHAPE.flops_per_token == 6 * (SHAPE.parameters + 16 * 23) + 12 * 2 * 16 * 12


def test_impossible_shapes_and_seeds_are_refused() -> None:
    with pytest.raises(CollectError, match="multiple of the heads"):
        DecoderShape(layers=1, width=10, heads=3, mlp_ratio=4, context=8, vocab=8)
    with pytest.raises(CollectError, match="at least one"):
        DecoderShape(layers=0, width=8, heads=2, mlp_ratio=4, context=8, vocab=8)
    with pytest.raises(CollectError, match="one seed per replica"):
        StackedDecoder(SHAPE, 2).initialise((0,))
