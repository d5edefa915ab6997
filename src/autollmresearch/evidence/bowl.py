"""Bowl: a valley whose lowest point moves as a power law of the fidelity, fitted to few runs under priors.

With x a configuration in octaves and z the fidelity in octaves from the target,

    u_k  = x_k - a_k - sum_m B_km z_m               distance from the optimum at this fidelity
    v_k  = u_k - sum_{j>k} kappa_kj u_j             couplings: a larger batch wants a larger learning rate
    t_k  = w_k v_k exp(alpha_k tanh v_k)            sharpness, which may differ between the two sides
    loss = level + sum_m s_m z_m + offset_e + A exp(gamma . z) (sqrt(1 + |t|^2) - 1) + category effects

The square root (a pseudo-Huber valley) is quadratic near the optimum and straight far away. Noise is Student-t, so a
run that diverged does not bend the fit; a run that is known to have diverged only says "at least this bad".

The posterior is sampled by randomised maximum likelihood (Chen and Oliver 2012, "randomize-then-optimize" with
Bardsley et al. 2014): each sample is the mode for outcomes redrawn with their noise and a prior redrawn from the
table. It is exact where the model is linear, and is the prior where there are no runs. All samples are solved at
once by Levenberg-Marquardt with the analytic Jacobian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autollmresearch.evidence.gp import cholesky
from llmconfig_gym.parameter import FloatArray

FREEDOM = 4.0
"""Degrees of freedom of the Student-t noise."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Where a bowl is evaluated: n points.

    Attributes:
        x: [n, dims] ordered parameters, in octaves (or quarters of their range).
        c: [n, categories] one-hot columns of categorical parameters.
        z: [n, names] octaves of fidelity from the target.
        experiment: [n, experiments] one-hot; the last column is the target.
    """

    x: FloatArray
    c: FloatArray
    z: FloatArray
    experiment: FloatArray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Layout:
    """Which entries of a parameter vector mean what."""

    dims: int
    names: int
    categories: int
    experiments: int
    pairs: tuple[tuple[int, int], ...]

    def slices(self) -> dict[str, slice]:
        """Block name -> slice; `B` and `kappa` are flattened row by row."""
        sizes = {
            "a": self.dims,
            "B": self.dims * self.names,
            "here": self.dims,
            "kappa": len(self.pairs),
            "w": self.dims,
            "alpha": self.dims,
            "A": 1,
            "gamma": self.names,
            "c": self.categories,
            "level": 1,
            "s": self.names,
            "offset": self.experiments,
        }
        result, start = {}, 0
        for name, size in sizes.items():
            result[name] = slice(start, start + size)
            start += size
        return result

    @property
    def size(self) -> int:
        """Number of parameters."""
        return int(self.slices()["offset"].stop)


def evaluate(layout: Layout, theta: FloatArray, inputs: Inputs) -> FloatArray:
    """The bowl [samples, n] at parameters [samples, size]."""
    return _forward(layout, theta, inputs)[0]


def evaluate_with_jacobian(layout: Layout, theta: FloatArray, inputs: Inputs) -> tuple[FloatArray, FloatArray]:
    """The bowl [samples, n] and its derivatives [samples, n, size]."""
    value, u, v, t, root, height = _forward(layout, theta, inputs)
    parts = layout.slices()
    jacobian = np.zeros((*value.shape, layout.size))
    with np.errstate(under="ignore"):
        squash = np.tanh(v)
        alpha = theta[:, None, parts["alpha"]]
        w = np.exp(theta[:, None, parts["w"]] + alpha * squash)
        outer = height[:, :, None] * t / root[:, :, None]  # d loss / d t
        by_v = outer * w * (1 + v * alpha * (1 - squash**2))
    jacobian[:, :, parts["w"]] = outer * t
    jacobian[:, :, parts["alpha"]] = outer * t * squash
    by_u = by_v.copy()
    kappa = theta[:, parts["kappa"]]
    for i, (k, j) in enumerate(layout.pairs):
        by_u[:, :, j] -= by_v[:, :, k] * kappa[:, i, None]
        jacobian[:, :, parts["kappa"].start + i] = -by_v[:, :, k] * u[:, :, j]
    jacobian[:, :, parts["a"]] = -by_u
    jacobian[:, :, parts["here"]] = -by_u * inputs.experiment[:, -1, None]
    for k in range(layout.dims):
        start = parts["B"].start + k * layout.names
        jacobian[:, :, start : start + layout.names] = -by_u[:, :, k, None] * inputs.z
    valley = height * (root - 1)
    jacobian[:, :, parts["A"]] = valley[:, :, None]
    jacobian[:, :, parts["gamma"]] = valley[:, :, None] * inputs.z
    jacobian[:, :, parts["c"]] = inputs.c
    jacobian[:, :, parts["level"]] = 1.0
    jacobian[:, :, parts["s"]] = inputs.z
    if layout.experiments:
        jacobian[:, :, parts["offset"]] = inputs.experiment
    return value, jacobian


def _forward(
    layout: Layout, theta: FloatArray, inputs: Inputs
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Value [S, n], u, v, t [S, n, dims], root and height [S, n]."""
    parts = layout.slices()
    slopes = theta[:, parts["B"]].reshape(len(theta), layout.dims, layout.names)
    u = inputs.x[None] - theta[:, None, parts["a"]] - np.einsum("nm,skm->snk", inputs.z, slopes)
    u -= inputs.experiment[None, :, -1:] * theta[:, None, parts["here"]]
    v = u.copy()
    for i, (k, j) in enumerate(layout.pairs):
        v[:, :, k] -= theta[:, parts["kappa"]][:, i, None] * u[:, :, j]
    t = v * np.exp(theta[:, None, parts["w"]] + theta[:, None, parts["alpha"]] * np.tanh(v))
    root = np.sqrt(1 + np.square(t).sum(axis=2))
    height = np.exp(theta[:, parts["A"]] + theta[:, parts["gamma"]] @ inputs.z.T)
    value = height * (root - 1) + theta[:, parts["level"]] + theta[:, parts["s"]] @ inputs.z.T
    value += theta[:, parts["c"]] @ inputs.c.T
    if layout.experiments:
        value += theta[:, parts["offset"]] @ inputs.experiment.T
    return value, u, v, t, root, height


@dataclass(frozen=True, eq=False)
class BowlFit:
    """A fitted bowl.

    Attributes:
        mode: [size] most probable parameters.
        samples: [samples, size] posterior samples.
        noise: standard deviation of one run (the Student-t's scale).
        weights: [n] how much each run counted, 1 for an ordinary one, near 0 for one far off.
    """

    layout: Layout
    mode: FloatArray
    samples: FloatArray
    noise: float
    weights: FloatArray


def fit_bowl(
    layout: Layout,
    inputs: Inputs,
    y: FloatArray,
    diverged: NDArray[np.bool_],
    mean: FloatArray,
    sd: FloatArray,
    noise: tuple[float, float],
    *,
    samples: int,
    starts: int = 4,
    rounds: int = 5,
) -> BowlFit:
    """Fit to outcomes y [n] under a normal prior (mean, sd) [size].

    Args:
        diverged: [n] runs that only say "at least this bad".
        noise: prior scale of the noise, and how many runs that prior is worth.
        samples: number of posterior samples.
        starts: prior draws, beside the prior mean, from which the mode is looked for.
        rounds: re-estimations of weights and noise.

    Deterministic: the same inputs give the same fit.
    """
    rng = np.random.default_rng(0)
    first = np.vstack([mean, mean + sd * rng.standard_normal((starts, layout.size))])
    prior = np.broadcast_to(mean, first.shape)
    scale, worth = noise
    weights = np.where(diverged, 0.1, 1.0)
    sigma, mode = 2 * scale, mean
    for round_ in range(rounds):
        theta, cost = _solve(layout, inputs, y, weights / sigma**2, first, prior, sd, 12 if round_ == 0 else 6)
        mode = theta[int(np.argmin(cost))]
        first, prior = mode[None], mean[None]  # later rounds polish the best start
        residual, jacobian = _residual(layout, inputs, y, mode)
        spent = _effective_parameters(jacobian, weights / sigma**2, sd)
        weights = (FREEDOM + 1) / (FREEDOM + np.square(residual / sigma))
        weights[diverged & (residual < 0)] = 0.0
        explained = float((weights * np.square(residual)).sum())
        sigma = float(np.sqrt((worth * scale**2 + explained) / (worth + max(len(y) - spent, 0.0))))
    precision = weights / sigma**2
    _, jacobian = _residual(layout, inputs, y, mode)
    # In units of the prior's sd, where no eigenvalue is below 1: ranges of many orders of magnitude meet here.
    scaled = jacobian * sd
    covariance = np.linalg.inv(scaled.T * precision @ scaled + np.eye(layout.size)).astype(np.float64)
    start = mode + sd * (rng.standard_normal((samples, layout.size)) @ cholesky(covariance).T)
    redrawn = mean + sd * rng.standard_normal((samples, layout.size))
    spread = np.where(precision > 0, 1 / np.sqrt(np.maximum(precision, 1e-300)), 0.0)
    noisy = y + np.minimum(spread, 10 * sigma) * rng.standard_normal((samples, len(y)))
    theta, _ = _solve(layout, inputs, noisy, precision, start, redrawn, sd, 8)
    return BowlFit(layout, mode, theta, sigma, weights)


def _residual(layout: Layout, inputs: Inputs, y: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    value, jacobian = evaluate_with_jacobian(layout, theta[None], inputs)
    return y - value[0], jacobian[0]


def _effective_parameters(jacobian: FloatArray, precision: FloatArray, sd: FloatArray) -> float:
    """How many parameters the outcomes, not the prior, decide: trace of the hat matrix."""
    information = jacobian.T * precision @ jacobian
    return float(np.trace(np.linalg.solve(information + np.diag(sd**-2), information)))


def _solve(
    layout: Layout,
    inputs: Inputs,
    y: FloatArray,
    precision: FloatArray,
    start: FloatArray,
    prior: FloatArray,
    sd: FloatArray,
    steps: int,
) -> tuple[FloatArray, FloatArray]:
    """Modes [samples, size] and their costs by Levenberg-Marquardt, every sample with its own damping."""
    theta, weight = start.copy(), sd**-2
    damping = np.full(len(theta), 1e-2)

    def cost_of(residual: FloatArray, at: FloatArray) -> FloatArray:
        misfit = np.square(residual) @ precision + np.square(at - prior) @ weight
        return np.asarray(np.nan_to_num(misfit, nan=np.inf))

    with np.errstate(over="ignore", invalid="ignore"):
        value, jacobian = evaluate_with_jacobian(layout, theta, inputs)
        cost = cost_of(y - value, theta)
        for _ in range(steps):
            weighted = jacobian * precision[None, :, None]
            gradient = np.einsum("snp,sn->sp", weighted, y - value) + (prior - theta) * weight
            hessian = np.matmul(jacobian.transpose(0, 2, 1), weighted) + np.diag(weight)
            diagonal = np.einsum("spp->sp", hessian)
            hessian = hessian + damping[:, None, None] * diagonal[:, :, None] * np.eye(layout.size)
            step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
            trial = theta + np.clip(step, -4 * sd, 4 * sd)
            tried, tried_jacobian = evaluate_with_jacobian(layout, trial, inputs)
            tried_cost = cost_of(y - tried, trial)
            better = tried_cost < cost
            theta[better], value[better], jacobian[better] = trial[better], tried[better], tried_jacobian[better]
            done = np.abs(cost - tried_cost).max(initial=0.0) < 1e-6 * max(float(cost.max(initial=0.0)), 1e-12)
            cost = np.where(better, tried_cost, cost)
            damping = np.where(better, damping / 4, damping * 5)
            if done:
                break
    return theta, cost
