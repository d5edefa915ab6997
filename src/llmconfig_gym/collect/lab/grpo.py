"""Group-relative policy optimisation of R replicas side by side, each with its own settings and seed.

What it promises: replica r's run depends on the base policy, the problems, the stack's shape (prompts per step, group
size, steps) and `settings[r]`; the same call gives the same bits again on the same machine, and a replica that
diverges is recorded as such and does not touch the others.

The algorithm is that of Shao et al. 2024 (arXiv 2402.03300, section 4.1, algorithm 1): at each step, G answers to each
of P prompts are sampled at temperature 1 and verified (reward 1 or 0); an answer's advantage is its reward
standardised within its group; then several updates maximise

    1/B sum_i 1/|o_i| sum_t [ min(w A, clip(w, 1 - c, 1 + c) A) - k (exp(d) - d - 1) ]

over the B = P * G answers o_i, with w the probability ratio of the token to the policy that sampled it, and
d = log reference - log policy, whose term is Schulman's unbiased, non-negative estimator k3 of the divergence from
the reference (http://joschu.net/blog/kl-approx.html). The reference is the base policy throughout.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.collect.lab.problems import Problems
from llmconfig_gym.collect.lab.sampling import Rollouts, accuracies, answer_logits, log_probs_of, sample
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.collect.lab.train import AdamW, Recipe
from llmconfig_gym.errors import CollectError

POINTS = 5
"""At how many points of training, evenly spaced to its end, the reward is reported."""


@dataclass(frozen=True)
class Settings:
    """What is a replica's own."""

    lr: float
    kl_coefficient: float = 0.0
    clip_range: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """What all replicas of a stack share, and the sweep holds fixed but for the first three."""

    prompts_per_step: int
    group_size: int
    steps: int
    answer_tokens: int  # the most an answer may have
    inner_updates: int = 4  # on the same answers
    advantage_epsilon: float = 1e-4
    warmup: float = 0.05  # share of the steps

    def schedule(self, update: int) -> float:
        """Factor on the learning rate at `update` (from 0) of steps * inner_updates: warm-up, then linear to zero.

        Without the decay the last updates' jitter made the accuracy of some settings vary four times as much between
        seeds.
        """
        warmup = max(1, round(self.warmup * self.steps))
        return min(1.0, (update // self.inner_updates + 1) / warmup) * (1 - update / (self.steps * self.inner_updates))


OPTIMIZER = Recipe(weight_decay=0.0)
"""AdamW without decay is Adam; the gradient is clipped to norm 1. Its own schedule is not used."""


@dataclass(frozen=True)
class Run:
    """How one replica's training ended. Numbers that are not finite are kept as they are.

    `late` below means the mean over the last tenth of the steps. `diverged`: a weight or a number below is not finite.
    """

    status: Literal["ok", "diverged"]
    accuracy: float  # expected held-out accuracy of one answer sampled at temperature 1
    greedy_accuracy: float
    rewards: tuple[float, ...]  # mean training reward over the tenth of the steps that ends at each of POINTS points
    kl: float  # late: k3 estimate of the divergence from the reference, in nats per token
    entropy: float  # late: of the distributions sampled from, in nats per token
    response_length: float  # late: tokens per answer, with its end
    clip_fraction: float  # late: share of tokens whose gradient was cut, over all inner updates
    gradient_norm: float  # mean over training, before clipping
    gradient_norm_max: float
    steps: int
    seconds: float  # wall time of the whole stack divided by its replicas


def advantages(rewards: Tensor, epsilon: float) -> Tensor:
    """(r - mean) / (standard deviation + epsilon) within each group, for `rewards` [..., G].

    The standard deviation is the group's own (divided by G, not G - 1). A group of equal rewards gives zeros.
    """
    centred = rewards - rewards.mean(dim=-1, keepdim=True)
    return centred / (rewards.std(dim=-1, correction=0, keepdim=True) + epsilon)


def k3(log_probs: Tensor, reference: Tensor) -> Tensor:
    """exp(d) - d - 1 with d = reference - log_probs: each token's estimate of KL(policy || reference), same shape."""
    difference = reference - log_probs
    return difference.exp() - difference - 1


def objective(
    log_probs: Tensor,
    sampled: Tensor,
    reference: Tensor,
    mask: Tensor,
    advantage: Tensor,
    clip_range: Tensor,
    kl_coefficient: Tensor,
) -> tuple[Tensor, Tensor]:
    """The loss of each replica, [R], and the share of its tokens whose gradient the clip cut, [R].

    Args:
        log_probs: of the answers' tokens under the policy, [R, B, T], with gradient.
        sampled: the same under the policy that sampled them, [R, B, T].
        reference: the same under the reference, [R, B, T].
        mask: 1 for tokens that count, [R, B, T].
        advantage: of each answer, [R, B].
        clip_range: [R].
        kl_coefficient: [R].
    """
    ratio = (log_probs - sampled).exp()
    margin, weight = clip_range[:, None, None], kl_coefficient[:, None, None]
    free = ratio * advantage[..., None]
    clipped = torch.minimum(torch.maximum(ratio, 1 - margin), 1 + margin) * advantage[..., None]
    each = torch.minimum(free, clipped) - weight * k3(log_probs, reference)
    lengths = mask.sum(dim=2)
    losses = -((each * mask).sum(dim=2) / lengths).mean(dim=1)
    cut = ((clipped < free).float() * mask).sum(dim=(1, 2)) / lengths.sum(dim=1)
    return losses, cut.detach()


def rewards_of(rollouts: Rollouts, answers: Tensor, lengths: Tensor) -> Tensor:
    """1 where a sampled answer is the correct one, with its end, else 0, [R, B] float.

    `answers` [R, B, A] are the correct ones padded after their end, `lengths` [R, B] count them with their end.
    """
    given = rollouts.answers[..., : answers.shape[-1]]
    beyond = torch.arange(given.shape[-1], device=given.device) >= lengths[..., None]
    return ((given == answers) | beyond).all(dim=2).float()


def train(
    shape: DecoderShape,
    base: Tensor,
    problems: Problems,
    held_out: Problems,
    settings: Sequence[Settings],
    plan: Plan,
    *,
    device: torch.device | str = "cpu",
) -> list[Run]:
    """Train one replica per entry of `settings` from the flat weights `base` [P]; R runs in their order.

    A seed governs the order of the prompts (each is seen once before any is seen again) and the sampling.
    Raises CollectError if there is nothing to train, or the answers do not fit.
    """
    if not settings or plan.steps < 1:
        raise CollectError(f"a stack needs replicas and steps, found {len(settings)} and {plan.steps}.")
    length, longest = problems.prompts.shape[1], problems.answers.shape[1]
    if plan.answer_tokens < longest or length + plan.answer_tokens > shape.context:
        raise CollectError(
            f"answers need {longest} tokens and the context holds {shape.context - length}, found {plan.answer_tokens}."
        )
    torch.set_flush_denormal(True)
    start = time.perf_counter()
    replicas, group = len(settings), plan.group_size
    policy, reference = StackedDecoder(shape, replicas, device), StackedDecoder(shape, 1, device)
    policy.weights.copy_(base.expand_as(policy.weights))
    reference.weights.copy_(base.expand_as(reference.weights))
    optimizer = AdamW(policy.weights, [s.lr for s in settings], OPTIMIZER)
    clip_range = torch.tensor([s.clip_range for s in settings], device=device)
    kl_coefficient = torch.tensor([s.kl_coefficient for s in settings], device=device)
    prompts, answers = (torch.from_numpy(a).to(device) for a in (problems.prompts, problems.answers))
    lengths = torch.from_numpy(problems.answer_lengths).to(device)
    generators = [torch.Generator().manual_seed(s.seed) for s in settings]  # on the CPU: the same on every device
    orders = torch.stack([_order(len(problems), plan, g) for g in generators]).to(device)
    log = {name: torch.zeros(plan.steps, replicas, device=device) for name in _LOGGED}
    for step in range(plan.steps):
        rows = orders[:, step]
        batch = plan.prompts_per_step * group
        uniforms = torch.stack([torch.rand(batch, plan.answer_tokens, generator=g) for g in generators]).to(device)
        rollouts = sample(policy, prompts[rows], group, uniforms)
        repeated = rows.repeat_interleave(group, dim=1)
        reward = rewards_of(rollouts, answers[repeated], lengths[repeated])
        advantage = advantages(reward.view(replicas, -1, group), plan.advantage_epsilon).view(replicas, batch)
        anchor = _reference_log_probs(reference, rollouts.sequences, length)
        for update in range(step * plan.inner_updates, (step + 1) * plan.inner_updates):
            log_probs = log_probs_of(answer_logits(policy, rollouts.sequences, length), rollouts.sequences)
            losses, cut = objective(
                log_probs, rollouts.log_probs, anchor, rollouts.mask, advantage, clip_range, kl_coefficient
            )
            policy.backward(losses)
            norm = optimizer.step(policy.weights, policy.gradients, plan.schedule(update))
            log["gradient_norm"][step] += norm / plan.inner_updates
            log["clip_fraction"][step] += cut / plan.inner_updates
        count = rollouts.mask.sum(dim=(1, 2))
        log["reward"][step] = reward.mean(dim=1)
        log["kl"][step] = (k3(rollouts.log_probs, anchor) * rollouts.mask).sum(dim=(1, 2)) / count
        log["entropy"][step] = rollouts.entropy.sum(dim=(1, 2)) / count
        log["response_length"][step] = count / batch
    questions, solutions = (torch.from_numpy(a).to(device) for a in (held_out.prompts, held_out.answers))
    final = accuracies(policy, questions, solutions)
    seconds = (time.perf_counter() - start) / replicas
    finite = policy.weights.isfinite().all(dim=1)
    return [_run(log, r, plan.steps, final, bool(finite[r]), seconds) for r in range(replicas)]


_LOGGED = ("reward", "kl", "entropy", "response_length", "clip_fraction", "gradient_norm")


def _order(count: int, plan: Plan, generator: torch.Generator) -> Tensor:
    """Which prompts each step asks, [steps, P]: shuffled passes through all of them, one after the other."""
    needed = plan.steps * plan.prompts_per_step
    passes = [torch.randperm(count, generator=generator) for _ in range(math.ceil(needed / count))]
    return torch.cat(passes)[:needed].view(plan.steps, plan.prompts_per_step)


@torch.no_grad()
def _reference_log_probs(reference: StackedDecoder, sequences: Tensor, prompt: int) -> Tensor:
    """Log-probabilities of all replicas' answers under the one reference, [R, B, T]."""
    flat = sequences.flatten(0, 1)[None]
    return log_probs_of(answer_logits(reference, flat, prompt), flat).view(*sequences.shape[:2], -1)


def _run(
    log: dict[str, Tensor], replica: int, steps: int, final: tuple[Tensor, Tensor], finite: bool, seconds: float
) -> Run:
    window = max(1, steps // 10)

    def mean(name: str, end: int = steps) -> float:
        return float(log[name][max(0, end - window) : end, replica].double().mean())

    rewards = tuple(mean("reward", max(1, round(steps * (point + 1) / POINTS))) for point in range(POINTS))
    late = {name: mean(name) for name in ("kl", "entropy", "response_length", "clip_fraction")}
    norms = log["gradient_norm"][:, replica]
    accuracy, greedy = float(final[0][replica]), float(final[1][replica])
    numbers = (accuracy, greedy, *rewards, *late.values(), float(norms.sum()))
    return Run(
        status="ok" if finite and all(math.isfinite(n) for n in numbers) else "diverged",
        accuracy=accuracy,
        greedy_accuracy=greedy,
        rewards=rewards,
        gradient_norm=float(norms.double().mean()),
        gradient_norm_max=float(norms.max()),
        steps=steps,
        seconds=seconds,
        **late,
    )
