"""Sampling answers from R stacked decoders at once, with cached keys and values.

What it promises: replica r's answers depend on its weights, its prompts and its own uniform numbers alone, which
the caller draws from a generator per replica. A replica whose probabilities are not finite gives answers without
meaning, and touches no other. The log-probabilities are those `StackedDecoder.logits` gives for the same tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from llmconfig_gym.collect.lab.decoder import Layer, StackedDecoder
from llmconfig_gym.collect.lab.problems import END


@dataclass(frozen=True)
class Rollouts:
    """Sampled answers to P prompts of each of R replicas, B = P * G of them, the G of a prompt side by side.

    Attributes:
        sequences: prompt and answer, [R, B, prompt + T] int64; after its end an answer is padded with `END`.
        log_probs: of each answer token under the policy that sampled it, [R, B, T]; 0 after the end.
        entropy: of the distribution each token was sampled from, in nats, [R, B, T]; 0 after the end.
        mask: 1 for the tokens of an answer with its end, 0 after it, [R, B, T] float.
    """

    sequences: Tensor
    log_probs: Tensor
    entropy: Tensor
    mask: Tensor

    @property
    def answers(self) -> Tensor:
        """The answers' tokens, [R, B, T]."""
        return self.sequences[..., -self.mask.shape[-1] :]


@torch.no_grad()
def sample(decoder: StackedDecoder, prompts: Tensor, group: int, uniforms: Tensor) -> Rollouts:
    """`group` answers at temperature 1 to each of `prompts` [R, P, L], by inverting the cumulative distribution.

    `uniforms` [R, P * group, T] in [0, 1) decide the tokens; T is the most an answer may have.
    """
    replicas, count, length = prompts.shape
    batch, most = count * group, uniforms.shape[-1]
    x, caches = _prefill(decoder, prompts, group, most)
    offsets = torch.arange(replicas, device=prompts.device)[:, None] * decoder.shape.vocab
    table = decoder.token_embedding.reshape(-1, decoder.shape.width)
    answers = torch.full((replicas, batch, most), END, device=prompts.device)
    log_probs = torch.zeros(replicas, batch, most, device=prompts.device)
    entropy, mask = torch.zeros_like(log_probs), torch.zeros_like(log_probs)
    alive = torch.ones(replicas, batch, dtype=torch.bool, device=prompts.device)
    for place in range(most):
        logs = torch.bmm(F.layer_norm(x, (decoder.shape.width,)), decoder.output).log_softmax(dim=2)
        probabilities = logs.exp()
        below = probabilities.cumsum(dim=2) <= uniforms[:, :, place, None]
        token = below.sum(dim=2).clamp_(max=decoder.shape.vocab - 1)
        token = torch.where(alive, token, END)
        answers[:, :, place] = token
        mask[:, :, place] = alive
        log_probs[:, :, place] = torch.where(alive, logs.gather(2, token[..., None])[..., 0], 0.0)
        entropy[:, :, place] = torch.where(alive, -(probabilities * logs).sum(dim=2), 0.0)
        alive &= token != END
        if place + 1 == most or not bool(alive.any()):
            break
        x = F.embedding(token + offsets, table) + decoder.position_embedding[:, None, length + place]
        for layer, cache in zip(decoder.layers, caches, strict=True):
            x = _extend(decoder, layer, cache, x, length + place)
    questions = prompts.repeat_interleave(group, dim=1)
    return Rollouts(torch.cat([questions, answers], dim=2), log_probs, entropy, mask)


def _prefill(decoder: StackedDecoder, prompts: Tensor, group: int, most: int) -> tuple[Tensor, list[Tensor]]:
    """Each prompt once: the last position's stream [R, B, width], and keys and values per layer with room for answers.

    A layer's cache is [2, R, B, heads, prompt + most, width / heads].
    """
    replicas, count, length = prompts.shape
    shape = decoder.shape
    width, heads = shape.width, shape.heads
    offsets = torch.arange(replicas, device=prompts.device).view(-1, 1, 1) * shape.vocab
    table = decoder.token_embedding.reshape(-1, width)
    x = F.embedding(prompts + offsets, table) + decoder.position_embedding[:, None, :length]
    x = x.view(replicas, count * length, width)
    caches: list[Tensor] = []
    for layer in decoder.layers:
        mixed = torch.bmm(F.layer_norm(x, (width,)), layer.attention_in)
        split = mixed.view(replicas * count, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        cache = x.new_empty(2, replicas, count * group, heads, length + most, width // heads)
        known = split[1:].reshape(2, replicas, count, heads, length, width // heads)
        cache[..., :length, :] = known.repeat_interleave(group, dim=2)
        caches.append(cache)
        attended = F.scaled_dot_product_attention(split[0], split[1], split[2], is_causal=True)
        attended = attended.transpose(1, 2).reshape(replicas, count * length, width)
        x = torch.baddbmm(x, attended, layer.attention_out)
        hidden = F.gelu(torch.bmm(F.layer_norm(x, (width,)), layer.mlp_in))
        x = torch.baddbmm(x, hidden, layer.mlp_out)
    last = x.view(replicas, count, length, width)[:, :, -1]
    return last.repeat_interleave(group, dim=1), caches


def _extend(decoder: StackedDecoder, layer: Layer, cache: Tensor, x: Tensor, place: int) -> Tensor:
    """One layer at one more position, [R, B, width] to [R, B, width]; its keys and values are added to the cache."""
    replicas, batch, width = x.shape
    heads = decoder.shape.heads
    mixed = torch.bmm(F.layer_norm(x, (width,)), layer.attention_in)
    split = mixed.view(replicas, batch, 3, heads, width // heads)
    cache[..., place, :] = split[:, :, 1:].permute(2, 0, 1, 3, 4)
    keys, values = cache[..., : place + 1, :].flatten(1, 2)
    query = split[:, :, 0].reshape(replicas * batch, heads, 1, width // heads)
    attended = F.scaled_dot_product_attention(query, keys, values).reshape(replicas, batch, width)
    x = torch.baddbmm(x, attended, layer.attention_out)
    hidden = F.gelu(torch.bmm(F.layer_norm(x, (width,)), layer.mlp_in))
    return torch.baddbmm(x, hidden, layer.mlp_out)


def answer_logits(decoder: StackedDecoder, sequences: Tensor, prompt: int) -> Tensor:
    """Logits of the answer tokens of `sequences` [R, B, prompt + T], [R, B, T, vocab]."""
    return decoder.logits(sequences[..., :-1])[:, :, prompt - 1 :]


def log_probs_of(logits: Tensor, sequences: Tensor) -> Tensor:
    """Log-probabilities [R, B, T] of the last T tokens of `sequences` under `logits` [R, B, T, vocab]."""
    targets = sequences[..., -logits.shape[2] :, None]
    return logits.log_softmax(dim=3).gather(3, targets)[..., 0]


@torch.no_grad()
def accuracies(decoder: StackedDecoder, prompts: Tensor, answers: Tensor, chunk: int = 512) -> tuple[Tensor, Tensor]:
    """Accuracy of each replica on `prompts` [M, L] with the only correct `answers` [M, T], ended and padded with `END`.

    Returns the expected accuracy of one answer sampled at temperature 1, [R], float64, and that of greedy
    decoding, [R]. Neither is estimated from samples: the probability of sampling the correct answer is the product of
    its tokens' probabilities given the prompt and the correct tokens before, and greedy decoding finds it if each of
    its tokens is the likeliest there.
    """
    mask = (answers == END).cumsum(dim=1) - (answers == END).long() == 0  # up to and with the first end
    sampled = torch.zeros(decoder.replicas, dtype=torch.float64, device=prompts.device)
    greedy = torch.zeros_like(sampled)
    for start in range(0, len(prompts), chunk):
        part = slice(start, start + chunk)
        sequences = torch.cat([prompts[part], answers[part]], dim=1).expand(decoder.replicas, -1, -1)
        logits = answer_logits(decoder, sequences, prompts.shape[1])
        logs = torch.where(mask[part], log_probs_of(logits, sequences), 0.0)
        sampled += logs.sum(dim=2).exp().double().sum(dim=1)
        hit = (logits.argmax(dim=3) == answers[part]) | ~mask[part]
        greedy += hit.all(dim=2).double().sum(dim=1)
    return sampled / len(prompts), greedy / len(prompts)
