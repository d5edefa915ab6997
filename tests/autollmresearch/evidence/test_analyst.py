"""The analyst: laws that its belief keeps on landscapes whose truth is known, and on every legal problem."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.evidence.analyst import RUNS, fit
from autollmresearch.evidence.posterior import Posterior, Trend, proposals
from autollmresearch.evidence.records import CheapRuns, Problem
from llmconfig_gym.experiment import Experiment, Fidelity, Outcome
from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Suite

Law = Callable[..., Experiment]
Sizes = Callable[..., list[Experiment]]
Known = Callable[..., Problem]


def trend(posterior: Posterior, what: str, fidelity: str) -> Trend:
    return next(t for t in posterior.explanation.trends if (t.what, t.fidelity) == (what, fidelity))


def assert_sound(posterior: Posterior, size: int) -> None:
    assert posterior.mean.shape == posterior.sd.shape == posterior.best.shape == (size,)
    assert np.isfinite(posterior.samples).all()
    assert (posterior.sd >= 0).all()
    assert posterior.noise >= 0
    assert posterior.best.min() >= 0
    assert posterior.best.sum() == pytest.approx(1)
    assert len(set(proposals(posterior, 3).tolist())) == min(3, size - len(set(posterior.told.tolist())))


# A law that is known.


@pytest.mark.parametrize("exponent", [-0.7, -0.4, -0.1])
def test_ten_runs_are_enough_to_come_near_the_optimum_and_the_exponent_lies_in_its_interval(
    law: Law, sizes: Sizes, known: Known, regret: Callable[..., float], exponent: float
) -> None:
    target, cheaper = law(1e8, 2e9, exponent=exponent), sizes(exponent=exponent)
    regrets, covered = [], 0
    for seed in range(6):
        posterior = fit(known(target, cheaper, 10, seed))
        regrets.append(regret(target, posterior.mean))
        found = trend(posterior, "lr", "parameters")
        covered += found.low <= exponent <= found.high
    assert np.mean(regrets) < 0.05
    assert covered >= 5


def test_with_whole_tables_exponents_and_level_are_found(law: Law, sizes: Sizes, known: Known) -> None:
    target = law(1e8, 2e9)
    posterior = fit(known(target, sizes()))
    for what, fidelity, truth in (("lr", "parameters", -0.4), ("batch_size", "tokens", 0.4)):
        found = trend(posterior, what, fidelity)
        assert found.low <= truth <= found.high
        assert abs(found.exponent - truth) < 0.12
        assert found.learned > 0.5
    level = trend(posterior, "loss", "parameters")
    assert level.exponent == pytest.approx(-0.05 / np.log(2), abs=0.03)
    best = int(np.argmin(posterior.mean))
    assert abs(posterior.mean[best] - target.losses[best]) < 3 * np.hypot(posterior.sd[best], posterior.noise)


def test_whole_tables_beat_ten_runs_in_certainty(law: Law, sizes: Sizes, known: Known) -> None:
    target = law(1e8, 2e9)
    few, many = (trend(fit(known(target, sizes(), n)), "lr", "parameters") for n in (10, None))
    assert many.high - many.low < 0.7 * (few.high - few.low)


def test_diverged_runs_do_not_bend_the_fit(law: Law, sizes: Sizes, known: Known, regret: Callable[..., float]) -> None:
    target = law(1e8, 2e9)
    calm, wild = (fit(known(target, sizes(blow_ups=b))) for b in (0, 12))
    assert abs(trend(calm, "lr", "parameters").exponent - trend(wild, "lr", "parameters").exponent) < 0.1
    assert regret(target, wild.mean) < 0.03
    assert "diverged" in " ".join(wild.explanation.sentences)


def test_only_the_orientation_of_the_metric_counts(
    law: Law, sizes: Sizes, known: Known, mirrored: Callable[[Experiment], Experiment]
) -> None:
    target, cheaper = law(1e8, 2e9), sizes()
    plain = fit(known(target, cheaper, 12), [target.outcome(3)])
    turned = fit(known(mirrored(target), [mirrored(e) for e in cheaper], 12), [mirrored(target).outcome(3)])
    np.testing.assert_array_equal(plain.samples, turned.samples)


def test_a_told_outcome_shrinks_the_sd_there_and_is_not_proposed_again(law: Law, sizes: Sizes, known: Known) -> None:
    target = law(1e8, 2e9)
    problem = known(target, sizes(), 10)
    before = fit(problem)
    row = int(proposals(before, 1)[0])
    after = fit(problem, [target.outcome(row)])
    assert after.sd[row] < 0.7 * before.sd[row]
    assert abs(after.mean[row] - target.losses[row]) < abs(before.mean[row] - target.losses[row]) + after.noise
    assert row not in proposals(after, 20)


# Words.


@pytest.mark.parametrize(("exponent", "word"), [(-0.7, "fell"), (0.5, "rose")])
def test_sentences_agree_with_the_sign_of_the_fit(
    law: Law, sizes: Sizes, known: Known, exponent: float, word: str
) -> None:
    posterior = fit(known(law(1e8, 2e9, exponent=exponent), sizes(exponent=exponent)))
    text = next(s for s in posterior.explanation.sentences if s.startswith("The best lr ") and "parameters" in s)
    found = trend(posterior, "lr", "parameters")
    assert np.sign(found.exponent) == np.sign(exponent)
    assert f"The best lr {word} about {2 ** abs(found.exponent):.1f}x per doubling of parameters" in text
    assert "prior" not in text


def test_what_no_run_varied_is_said_to_be_the_prior(law: Law, known: Known) -> None:
    posterior = fit(known(law(1e8, 2e9), [law(1e7, 2e9)], 40))
    for text in posterior.explanation.sentences:
        if "per doubling of parameters" in text or "move with parameters" in text:
            assert "mostly the prior" in text
    assert trend(posterior, "lr", "parameters").learned == 0


def test_numbers_that_only_grew_together_are_one_trend(law: Law, known: Known) -> None:
    scales = [(n, 20 * n) for n in (6e6, 1.2e7, 2.5e7, 5e7)]
    posterior = fit(known(law(1e8, 2e9), [law(n, d) for n, d in scales]))
    together = "parameters (with tokens in step)"
    level = trend(posterior, "loss", together)
    true = 2 * -0.05 / np.log(2)  # 0.05 nats per doubling of either, in octaves of the loss
    assert level.low < true < level.high < 0
    assert level.exponent == pytest.approx(true, abs=0.005)
    assert trend(posterior, "lr", together).exponent == pytest.approx(-0.4, abs=0.1)
    assert not any(t.fidelity in ("parameters", "tokens") for t in posterior.explanation.trends)
    assert any(f"per doubling of {together}" in s for s in posterior.explanation.sentences)


def test_it_says_what_it_rests_on_and_where_it_expects_the_optimum(law: Law, sizes: Sizes, known: Known) -> None:
    target = law(1e8, 2e9)
    text = " ".join(fit(known(target, sizes(), 12), [target.outcome(0)]).explanation.sentences)
    assert "12 cheaper runs at" in text
    assert "1 on the target" in text
    assert "At the target the best lr is expected at" in text


@pytest.mark.parametrize(("runs", "said"), [(4, True), (5, False)])
def test_fewer_than_five_runs_are_said_to_be_priors(
    law: Law, sizes: Sizes, known: Known, runs: int, said: bool
) -> None:
    warnings = " ".join(fit(known(law(1e8, 2e9), sizes(), runs)).explanation.warnings)
    assert ("mostly the priors" in warnings) == said


def test_extrapolation_is_said_with_its_factor(law: Law, known: Known) -> None:
    far = fit(known(law(1e8, 2e9), [law(1e7, 1e9)]))
    assert far.explanation.warnings == (
        "the target lies 10x beyond the dearest known run in parameters: this is extrapolation",
    )
    assert fit(known(law(1e8, 2e9), [law(5e7, 1e9)])).explanation.warnings == ()


def test_a_metric_that_gets_worse_with_scale_is_doubted(law: Law, sizes: Sizes, known: Known) -> None:
    posterior = fit(known(law(1e8, 2e9, level=0.06), sizes(level=0.06)))
    assert any("is its direction really to minimize it?" in w for w in posterior.explanation.warnings)


# Every legal problem.


def test_with_nothing_known_it_is_the_priors(law: Law, known: Known) -> None:
    target = law(1e8, 2e9)
    posterior = fit(known(target, []))
    assert_sound(posterior, len(target.pool))
    assert "fewer than 5" in posterior.explanation.warnings[0]
    assert target.regret(target.losses[int(np.argmin(posterior.mean))]) < 0.3


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
@pytest.mark.parametrize("protocol", ["metered:1", "metered:5", "full"])
def test_every_task_and_protocol_gives_a_sound_belief(
    targets: Mapping[str, Experiment], problem_of: Callable[..., Problem], task: str, protocol: str
) -> None:
    target = targets[task]
    trials = [target.outcome(r) for r in range(3)]
    for told in (0, 1, 3):
        posterior = fit(problem_of(target, protocol), trials[:told])
        assert_sound(posterior, len(target.pool))
        assert posterior.told.tolist() == list(range(told))


def test_every_kind_of_parameter_may_come_together(toy: Suite) -> None:
    space = Space(
        (
            Simplex("weights", ("a", "b")),
            Grid("lr", (1e-3, 1e-2), log=True),
            Integer("layers", 1, 8, relative=True),
            Real("dropout", 0.0, 0.5),
            Categorical("bias", (False, True)),
            Grid("fixed", (3,)),
        )
    )
    rng = np.random.default_rng(0)
    for parameters in (space.parameters, space.parameters[1:], space.parameters[-2:], space.parameters[-1:]):
        part = Space(parameters)
        configs = [part.decode(rng.random(part.width)) for _ in range(12)]
        pool = Pool.from_configs(part, configs)
        runs = CheapRuns(Fidelity({"size": "small"}, 1.0), pool, rng.standard_normal(12), {})
        target = toy.experiment(toy.ids[0])
        problem = Problem("other", Fidelity({"size": "large"}, 8.0), target.metric, pool, (runs,), 3)
        trials = [Outcome("measured", pool.config(0), 0.3), Outcome("invalid", message="invalid"), Outcome("duplicate")]
        assert_sound(fit(problem, trials), 12)


@pytest.mark.parametrize("values", [[np.nan] * 4, [0.0] * 4, [-1e9, 0, 1e-9, 1e9], [7.0] * 4])
def test_runs_that_all_diverged_or_are_all_alike_or_wild_stop_nothing(law: Law, values: list[float]) -> None:
    target = law(1e8, 2e9)
    pool = Pool(target.space, {k: c[:4] for k, c in target.pool.columns.items()})
    losses = np.nan_to_num(np.array(values), nan=0.0)
    runs = CheapRuns(Fidelity({"parameters": 1e7, "tokens": 1e8}, 6e15), pool, losses, {})
    for clip in (None, 1.25):
        problem = Problem("pretraining", target.fidelity, target.metric, target.pool, (runs,), 3, clip)
        for outcome in (Outcome("measured", target.pool.config(5)), Outcome("measured", target.pool.config(5), 3.0)):
            assert_sound(fit(problem, [outcome]), len(target.pool))


def test_if_every_told_run_diverged_it_is_said(law: Law, known: Known) -> None:
    target = law(1e8, 2e9)
    trials = [Outcome("measured", target.pool.config(r)) for r in (0, 1)]
    assert fit(known(target, []), trials).explanation.warnings[0].startswith("every known run diverged")


def test_a_fidelity_in_words_is_an_experiment_of_its_own(line: Callable[..., Experiment], known: Known) -> None:
    values = [3.0, 2.0, 1.0, 2.0, 3.0]
    target = replace(line(values), fidelity=Fidelity({"size": "large"}, 1.0))
    cheaper = [replace(line([v + 5 for v in values]), fidelity=Fidelity({"size": s}, 1.0)) for s in ("small", "tiny")]
    assert int(np.argmin(fit(known(target, cheaper)).mean)) == 2


def test_the_same_evidence_gives_the_same_belief(law: Law, sizes: Sizes, known: Known) -> None:
    target = law(1e8, 2e9)
    first, again = (fit(known(target, sizes(), 20, 3), [target.outcome(1)]) for _ in range(2))
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.explanation == again.explanation


def test_of_very_many_runs_a_subset_is_fitted_and_said(law: Law, known: Known, regret: Callable[..., float]) -> None:
    target = law(1e8, 2e9)
    cheaper = [law(n, d, seed=s) for n in (2e7, 5e7) for d in (5e8, 1e9) for s in range(8)]
    posterior = fit(known(target, cheaper))
    text = " ".join(posterior.explanation.sentences)
    assert f"{32 * len(target.pool)} cheaper runs" in text
    assert "(fitted to " in text
    assert int(text.split("(fitted to ")[1].split(" ")[0]) <= RUNS
    assert regret(target, posterior.mean) < 0.05
