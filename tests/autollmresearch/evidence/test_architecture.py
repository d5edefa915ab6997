"""Architectures: a metric made of two details is taken apart, and a cost that follows from the shape is computed."""

from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.evidence.analyst import fit
from autollmresearch.evidence.architecture import computed, find_tradeoff, fit_architecture
from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.evidence.rows import gather
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import Categorical, FloatArray, Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space


def minmax(values: FloatArray) -> FloatArray:
    return np.asarray((values - values.min()) / np.ptp(values))


def shapes(scale: int, weight: float = 0.7, *, rescaled: bool = True, noise: float = 0.0) -> Experiment:
    """Decoders of three widths at a scale: loss falls with size, FLOPs are a polynomial of the shape."""
    space = Space(
        (
            Grid("width", (scale, 2 * scale, 3 * scale, 4 * scale), log=True, relative=True),
            Grid("layers", (2, 4, 6, 8)),
            Grid("mlp_ratio", (2, 3, 4)),
            Categorical("bias", (False, True)),
        )
    )
    options = [[*p.options] for p in space.parameters if isinstance(p, Grid | Categorical)]
    configs = [
        dict(zip(space.names, c, strict=True)) for c in np.array(np.meshgrid(*options)).T.reshape(-1, 4).tolist()
    ]
    pool = Pool.from_configs(space, [{**c, "bias": bool(c["bias"])} for c in configs])
    width, layers, ratio = (pool.columns[n].astype(float) for n in ("width", "layers", "mlp_ratio"))
    flops = 8 * layers * width**2 + 4 * layers * width**2 * ratio + 100 * width
    rng = np.random.default_rng(scale)
    loss = 2 + 30 * flops**-0.2 + 0.02 * (ratio - 3) ** 2 + noise * rng.standard_normal(len(pool))
    latency = 1 + layers * (0.2 + width / scale / 4) + 0.05 * rng.standard_normal(len(pool))
    values = minmax(loss) + weight * minmax(flops) if rescaled else loss + 0.3 * latency
    details = {"validation_loss": loss, "flops_per_token": flops, "latency_ms": latency}
    metric = Metric("quality_cost", "minimize", details=dict.fromkeys(details, ""))
    fidelity = Fidelity({"scale": float(scale)}, float(scale))
    id_ = f"shapes/{scale}"
    return Experiment(id_, "shapes", "architecture", "shape", "low", fidelity, metric, pool, values, details)


def problem(target: Experiment, *cheaper: CheapRuns) -> Problem:
    return Problem(target.task, target.fidelity, target.metric, target.pool, cheaper, 5)


def some(e: Experiment, count: int, seed: int = 0) -> CheapRuns:
    rows = np.sort(np.random.default_rng(seed).choice(len(e.pool), count, replace=False))
    return CheapRuns.drawn([(e, rows)])[0]


@pytest.mark.parametrize("count", [5, 12, 96])
def test_the_two_details_a_metric_is_made_of_are_found(count: int) -> None:
    found = find_tradeoff(gather(problem(shapes(128), some(shapes(32), count)), (), 400))
    assert found is not None
    assert found.parts == ("validation_loss", "flops_per_token")
    assert found.fixed is None


def test_a_metric_that_is_not_a_sum_of_details_is_left_whole() -> None:
    cheap = shapes(32)
    bent = replace(cheap, values=np.sqrt(cheap.values))
    assert find_tradeoff(gather(problem(shapes(128), some(bent, 30)), (), 400)) is None
    assert find_tradeoff(gather(problem(shapes(128), some(cheap, 4)), (), 400)) is None
    assert find_tradeoff(gather(problem(shapes(128)), (), 400)) is None


def test_a_cost_that_follows_from_the_shape_is_computed_at_the_target() -> None:
    target, cheap = shapes(128), shapes(32)
    known = problem(target, some(cheap, 12))
    exact = computed(known, "flops_per_token")
    assert exact is not None
    np.testing.assert_allclose(exact, target.details["flops_per_token"], rtol=1e-6)
    assert computed(known, "validation_loss") is None
    text = fit(known).explanation.sentences
    assert "flops_per_token follows from the configuration and is computed, not learned." in text


@pytest.mark.parametrize("weight", [0.3, 1.5])
@pytest.mark.parametrize("count", [10, None])
def test_the_trade_off_is_carried_to_the_target(weight: float, count: int | None) -> None:
    target, cheap = shapes(128, weight), shapes(32, weight, noise=0.005)
    regrets = []
    for seed in range(3):
        runs = CheapRuns.of(cheap) if count is None else some(cheap, count, seed)
        posterior = fit(problem(target, runs))
        regrets.append(float(target.regret(target.losses[int(np.argmin(posterior.mean))])))
    assert np.mean(regrets) < 0.1


def test_the_weights_rest_on_all_known_runs_not_on_the_subset_that_is_fitted() -> None:
    known = problem(shapes(128), CheapRuns.of(shapes(32)))
    rows = gather(known, (), 24)
    found = find_tradeoff(rows)
    assert found is not None
    cheap = known.cheaper[0].details
    kept = np.array([np.ptp(rows.details[n]) / np.ptp(cheap[n]) for n in found.parts])
    assert kept.min() < 0.9  # so a range taken from the subset would be wrong
    _, _, weights, _ = fit_architecture(known, rows, found, 8)
    assert weights == pytest.approx((1.0, 0.7), rel=0.03)


def test_a_sum_that_is_the_same_at_every_scale_is_not_rescaled() -> None:
    target = shapes(128, rescaled=False)
    posterior = fit(problem(target, *(some(shapes(s, rescaled=False), 20) for s in (16, 32))))
    found = find_tradeoff(gather(problem(target, *(some(shapes(s, rescaled=False), 20) for s in (16, 32))), (), 400))
    assert found is not None
    assert found.fixed == pytest.approx((1.0, 0.3, 0.0), abs=1e-6)
    assert np.corrcoef(posterior.mean, target.losses)[0, 1] > 0.9


def test_what_was_told_corrects_the_model_there() -> None:
    target = shapes(128)
    known = problem(target, some(shapes(32), 20))
    before = fit(known)
    row = int(np.argmin(before.mean))
    outcome = replace(target.outcome(row), value=float(target.losses.max()))
    after = fit(known, [outcome])
    assert after.mean[row] > before.mean[row]
    assert after.sd[row] < before.sd[row]
