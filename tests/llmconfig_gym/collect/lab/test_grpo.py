"""GRPO: advantage and loss by hand, gradients against plain autograd, sampling, independence, determinism."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.collect.lab.grpo import (
    Plan,
    Run,
    Settings,
    advantages,
    k3,
    objective,
    rewards_of,
    train,
)
from llmconfig_gym.collect.lab.pretrain_base import Teaching, base_policy
from llmconfig_gym.collect.lab.problems import END, family, split
from llmconfig_gym.collect.lab.sampling import Rollouts, accuracies, answer_logits, log_probs_of, sample
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.errors import CollectError

torch.set_num_threads(1)
SORTING = family("sorting")
PROBLEMS = split(SORTING, 200, 64)
SHAPE = DecoderShape(layers=1, width=16, heads=2, mlp_ratio=4, context=13, vocab=corpus.VOCABULARY)
PLAN = Plan(prompts_per_step=4, group_size=4, steps=6, answer_tokens=6, inner_updates=2)


@pytest.fixture(scope="module")
def base() -> Tensor:
    return base_policy(SHAPE, PROBLEMS.examples, PROBLEMS.held_out, Teaching(target=0.05, check_every=20))[0]


def _results(runs: list[Run]) -> list[Run]:
    return [dataclasses.replace(run, seconds=0.0) for run in runs]


def _run(base: Tensor, *settings: Settings, plan: Plan = PLAN) -> list[Run]:
    return _results(train(SHAPE, base, PROBLEMS.prompts, PROBLEMS.held_out, settings, plan))


def test_advantages_by_hand() -> None:
    # Rewards 1, 0, 0, 1: mean 1/2, deviation 1/2. Rewards 1, 0, 0, 0: mean 1/4, deviation sqrt(3)/4. Equal ones: 0.
    rewards = torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, 0], [1, 1, 1, 1]])
    third = math.sqrt(3)
    expected = [[1.0, -1, -1, 1], [third, -1 / third, -1 / third, -1 / third], [0, 0, 0, 0]]
    torch.testing.assert_close(advantages(rewards, 0.0).nan_to_num(), torch.tensor(expected))
    torch.testing.assert_close(advantages(rewards, 0.5)[0], torch.tensor([0.5, -0.5, -0.5, 0.5]))


def test_loss_of_two_prompts_by_hand() -> None:
    """Two prompts of two answers of one or two tokens, clip range 0.2, KL coefficient 0.1.

    Answer 1 (A = +1): ratios 1.5, clipped to 1.2, and 0.5, which stays (the minimum): (1.2 + 0.5) / 2 = 0.85.
    Answer 2 (A = -1): ratio 0.5, clipped to 0.8, and the minimum of -0.5 and -0.8 is -0.8.
    Answers 3 and 4 (equal rewards, A = 0): 0.
    KL: only the first token of answer 3 is off the reference, by a ratio of 2: k3 = 2 - ln 2 - 1; of its two tokens
    the mean is half of that.
    """
    ratios = torch.tensor([[[1.5, 0.5], [0.5, 9.0], [1.0, 1.0], [1.0, 1.0]]])
    mask = torch.tensor([[[1.0, 1], [1, 0], [1, 1], [1, 0]]])
    sampled = torch.full((1, 4, 2), -1.0)
    log_probs = sampled + ratios.log()
    reference = log_probs.clone()
    reference[0, 2, 0] += math.log(2)
    advantage = advantages(torch.tensor([[[1.0, 0], [1, 1]]]), 0.0).nan_to_num().view(1, 4)
    losses, cut = objective(log_probs, sampled, reference, mask, advantage, torch.tensor([0.2]), torch.tensor([0.1]))
    expected = -(0.85 - 0.8 + 0 + 0) / 4 + 0.1 * (1 - math.log(2)) / 2 / 4
    assert losses.tolist() == [pytest.approx(expected, rel=1e-6)]
    assert cut.tolist() == [pytest.approx(2 / 6)]  # the first token of answer 1 and that of answer 2, of six


def test_k3_is_the_divergence_on_average() -> None:
    generator = torch.Generator().manual_seed(0)
    policy, reference = torch.randn(2, 7, generator=generator).log_softmax(dim=1)
    exact = (policy.exp() * (policy - reference)).sum()
    assert float((policy.exp() * k3(policy, reference)).sum()) == pytest.approx(float(exact), rel=1e-5)
    assert (k3(policy, reference) >= 0).all()


def _plain_loss(decoder: StackedDecoder, rollout: dict[str, Tensor], settings: Settings) -> Tensor:
    """The loss of one replica, token by token, as the paper writes it."""
    total = torch.zeros(())
    for sequence, sampled, reference, count, advantage in zip(
        rollout["sequences"],
        rollout["sampled"],
        rollout["reference"],
        rollout["counts"],
        rollout["advantage"],
        strict=True,
    ):
        prompt = len(sequence) - len(sampled)
        logs = F.log_softmax(decoder.logits(sequence[None, None, :-1])[0, 0], dim=-1)
        answer = torch.zeros(())
        for place in range(int(count)):
            log_prob = logs[prompt - 1 + place, sequence[prompt + place]]
            ratio = torch.exp(log_prob - sampled[place])
            clipped = torch.clamp(ratio, 1 - settings.clip_range, 1 + settings.clip_range)
            difference = reference[place] - log_prob
            penalty = torch.exp(difference) - difference - 1
            answer = answer + torch.min(ratio * advantage, clipped * advantage) - settings.kl_coefficient * penalty
        total = total - answer / count
    return total / len(rollout["sequences"])


def test_gradients_are_those_of_plain_autograd_for_one_replica(base: Tensor) -> None:
    settings = (Settings(1e-3, 0.5, 0.1, 0), Settings(1e-3, 0.0, 0.3, 1))
    stack, reference = StackedDecoder(SHAPE, 2), StackedDecoder(SHAPE, 1)
    generator = torch.Generator().manual_seed(3)
    reference.weights.copy_(base[None])
    stack.weights.copy_(base + 0.02 * torch.randn(2, len(base), generator=generator))
    prompts = torch.from_numpy(PROBLEMS.prompts.prompts[:4]).view(2, 2, -1)
    rollouts = sample(stack, prompts, 3, torch.rand(2, 6, 6, generator=generator))
    stack.weights.add_(0.02 * torch.randn(2, len(base), generator=generator))  # off the sampling policy
    anchor = (
        log_probs_of(
            answer_logits(reference, rollouts.sequences.flatten(0, 1)[None], 7), rollouts.sequences.flatten(0, 1)[None]
        )
        .view(2, 6, -1)
        .detach()
    )
    advantage = torch.randn(2, 6, generator=generator)
    log_probs = log_probs_of(answer_logits(stack, rollouts.sequences, 7), rollouts.sequences)
    losses, cut = objective(
        log_probs,
        rollouts.log_probs,
        anchor,
        rollouts.mask,
        advantage,
        torch.tensor([s.clip_range for s in settings]),
        torch.tensor([s.kl_coefficient for s in settings]),
    )
    stack.backward(losses)
    assert (cut > 0).all()  # so that the clip is tested
    for replica, own in enumerate(settings):
        single = StackedDecoder(SHAPE, 1)
        single.weights.copy_(stack.weights[replica : replica + 1])
        loss = _plain_loss(
            single,
            {
                "sequences": rollouts.sequences[replica],
                "sampled": rollouts.log_probs[replica],
                "reference": anchor[replica],
                "counts": rollouts.mask[replica].sum(dim=1),
                "advantage": advantage[replica],
            },
            own,
        )
        assert float(losses[replica].detach()) == pytest.approx(float(loss.detach()), rel=1e-4)
        single.backward(loss[None])
        torch.testing.assert_close(stack.gradients[replica], single.gradients[0], rtol=1e-3, atol=1e-6)


def test_sampled_log_probabilities_are_the_recomputed_ones(base: Tensor) -> None:
    decoder = StackedDecoder(SHAPE, 2)
    generator = torch.Generator().manual_seed(0)
    decoder.weights.copy_(base + 0.1 * torch.randn(2, len(base), generator=generator))
    prompts = torch.from_numpy(PROBLEMS.prompts.prompts[:10]).view(2, 5, -1)
    rollouts = sample(decoder, prompts, 8, torch.rand(2, 40, 6, generator=generator))
    logits = answer_logits(decoder, rollouts.sequences, 7)
    mask = rollouts.mask.bool()
    torch.testing.assert_close(
        rollouts.log_probs[mask], log_probs_of(logits, rollouts.sequences)[mask], rtol=1e-4, atol=1e-5
    )
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(rollouts.entropy[mask], entropy[mask], rtol=1e-4, atol=1e-5)
    assert (rollouts.log_probs[~mask] == 0).all()
    assert (rollouts.answers[~mask] == END).all()
    assert 1 < float(rollouts.mask.sum(dim=2).mean()) < 6  # some answers end early
    assert torch.equal(rollouts.sequences[:, ::8, :7], prompts)


def test_sampling_follows_the_probabilities(base: Tensor) -> None:
    decoder = StackedDecoder(SHAPE, 1)
    decoder.weights.copy_(base[None])
    prompts = torch.from_numpy(PROBLEMS.prompts.prompts[:1])[None]
    even = (torch.arange(20_000) + 0.5) / 20_000  # every part of the distribution in its share
    first = sample(decoder, prompts, 20_000, even.view(1, -1, 1)).answers[0, :, 0]
    shares = torch.bincount(first, minlength=SHAPE.vocab) / 20_000
    dummy = torch.cat([prompts, prompts[..., :1]], dim=2)
    expected = answer_logits(decoder, dummy, 7)[0, 0, 0].softmax(dim=0).detach()
    torch.testing.assert_close(shares, expected, rtol=0, atol=1e-4)


def test_rewards_are_the_verifiers() -> None:
    asked = [SORTING.text(n)[0] for n in (3021, 7727)]
    answers = ["abcd\n\n", "abdc\n\n", "abcd\na", "abcdd\n", "abc\n\n\n", "\n\n\n\n\n\n", "chhh\n\n", "chh\n\n\n"]
    which = [0, 0, 0, 0, 0, 0, 1, 1]
    prompts = torch.tensor([corpus.encode(asked[w]).tolist() for w in which])
    given = torch.tensor([corpus.encode(a).tolist() for a in answers])
    correct = torch.tensor([corpus.encode(SORTING.solve(asked[w]) + "\n").tolist() for w in which])
    blank = torch.zeros(1, 8, 6)
    rollouts = Rollouts(torch.cat([prompts, given], dim=1)[None], blank, blank, blank)
    found = rewards_of(rollouts, correct[None], torch.full((1, 8), 5))[0]
    assert found.tolist() == [float(SORTING.verify(asked[w], a)) for w, a in zip(which, answers, strict=True)]
    assert found.tolist() == [1, 0, 1, 0, 0, 0, 1, 0]


def test_accuracies_are_those_of_sampling_and_of_greedy_decoding(base: Tensor) -> None:
    decoder = StackedDecoder(SHAPE, 1)
    decoder.weights.copy_(base[None])
    prompts, answers = (torch.from_numpy(a[:100]) for a in (PROBLEMS.held_out.prompts, PROBLEMS.held_out.answers))
    sampled, greedy = accuracies(decoder, prompts, answers, chunk=30)
    lengths = torch.from_numpy(PROBLEMS.held_out.answer_lengths[:100])[None]
    uniforms = torch.rand(1, 10_000, 6, generator=torch.Generator().manual_seed(0))
    rollouts = sample(decoder, prompts[None], 100, uniforms)
    rewards = rewards_of(rollouts, answers.repeat_interleave(100, 0)[None], lengths.repeat_interleave(100, 1))
    assert float(sampled) == pytest.approx(float(rewards.mean()), abs=0.01)
    sequences = prompts[None]
    for _ in range(5):
        following = decoder.logits(sequences)[:, :, -1].argmax(dim=2)
        sequences = torch.cat([sequences, following[..., None]], dim=2)
    assert float(greedy) == float((sequences[0, :, 7:] == answers).all(dim=1).double().mean())


def test_stacked_training_follows_single_training(base: Tensor) -> None:
    settings = (Settings(1e-3, 0.1, 0.2, 0), Settings(3e-3, 0.0, 0.1, 5))
    for together, own in zip(_run(base, *settings), settings, strict=True):
        (alone,) = _run(base, own)
        assert together.accuracy == pytest.approx(alone.accuracy, abs=1e-3)
        assert together.rewards == pytest.approx(alone.rewards, abs=0.05)
        assert together.kl == pytest.approx(alone.kl, rel=0.05, abs=1e-3)


def test_same_call_same_bits_and_another_seed_other_numbers(base: Tensor) -> None:
    settings = (Settings(2e-3, seed=0), Settings(2e-3, seed=1))
    first = _run(base, *settings)
    assert first == _run(base, *settings)
    assert first[0].accuracy != first[1].accuracy


def test_a_replica_that_diverges_is_recorded_and_touches_no_other(base: Tensor) -> None:
    calm = _run(base, Settings(1e-3), Settings(1e-3, seed=1), Settings(2e-3, seed=2))
    wild = _run(base, Settings(1e-3), Settings(1e38, seed=1), Settings(2e-3, seed=2))
    assert wild[1].status == "diverged"
    assert [wild[0], wild[2]] == [calm[0], calm[2]]
    assert calm[1].status == "ok"


def test_training_learns_and_the_penalty_holds_it_back(base: Tensor) -> None:
    plan = dataclasses.replace(PLAN, prompts_per_step=16, steps=20, group_size=8)
    free, held = _run(base, Settings(2e-3, 0.0), Settings(2e-3, 3.0), plan=plan)
    before = StackedDecoder(SHAPE, 1)
    before.weights.copy_(base[None])
    questions, solutions = (torch.from_numpy(a) for a in (PROBLEMS.held_out.prompts, PROBLEMS.held_out.answers))
    assert free.accuracy > held.accuracy > float(accuracies(before, questions, solutions)[0])
    assert free.kl > 2 * held.kl


def test_the_base_policy_is_taught_once(base: Tensor, tmp_path: Path) -> None:
    teaching = Teaching(target=0.05, check_every=20)
    first, accuracy = base_policy(SHAPE, PROBLEMS.examples, PROBLEMS.held_out, teaching, tmp_path)
    again, told = base_policy(SHAPE, PROBLEMS.examples, PROBLEMS.held_out, teaching, tmp_path)
    assert torch.equal(first, base)
    assert torch.equal(first, again)
    assert accuracy == told >= 0.05
    assert len(list(tmp_path.iterdir())) == 1


def test_impossible_calls_are_refused(base: Tensor) -> None:
    with pytest.raises(CollectError, match="needs replicas"):
        _run(base)
    with pytest.raises(CollectError, match="the context holds 6, found 7"):
        _run(base, Settings(1e-3), plan=dataclasses.replace(PLAN, answer_tokens=7))
    with pytest.raises(CollectError, match="in 5 steps"):
        base_policy(SHAPE, PROBLEMS.examples, PROBLEMS.held_out, Teaching(most_steps=5))
