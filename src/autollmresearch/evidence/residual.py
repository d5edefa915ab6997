"""Residual: what the valley leaves out, as a Gaussian process over the distance from the optimum.

The distance is that from the optimum at a run's own fidelity, so that a shape seen around cheap optima is expected
around the target's too; it carries over less the further the fidelities are apart.
"""

from __future__ import annotations

import numpy as np

from autollmresearch.evidence.bowl import BowlFit, Inputs, evaluate
from autollmresearch.evidence.gp import Hyper, Kernel, Points, choose, condition
from autollmresearch.evidence.ordered import OrderedModel
from autollmresearch.evidence.priors import PRIORS
from autollmresearch.evidence.rows import Rows
from llmconfig_gym.parameter import FloatArray

FEW = 30
"""Runs below which a residual's hyperparameters are those of the table."""


def residual(
    model: OrderedModel, fit: BowlFit, rows: Rows, inputs: Inputs, pool: Inputs, samples: int
) -> tuple[FloatArray, FloatArray]:
    """What the valley leaves out at the pool, in the units of the fit: mean [n] and joint draws [samples, n]."""
    y = model.units.to(rows.losses) - evaluate(model.layout, fit.mode[None], inputs)[0]
    points = Points(_from_optimum(model, fit.mode, inputs), rows.experiment)
    here = Points(_from_optimum(model, fit.mode, pool), np.full(len(pool), rows.target))
    count = len(rows.fidelities)
    jitter = np.minimum(fit.noise**2 * (1 / np.maximum(fit.weights, 1e-6) - 1), 1e6 * fit.noise**2)
    jitter = np.maximum(jitter, 0.0)
    length, height, octaves = (PRIORS[f"residual.{n}"] for n in ("length", "height", "octaves"))
    kernel = Kernel(np.ones(count), rows.z, octaves.mean, PRIORS["fidelity.other"].mean, (0.0, 0.0, 0.0))
    usual = Hyper(length.mean, height.mean * fit.noise, fit.noise)
    if len(rows) >= FEW:
        heights = [fit.noise * h for h in (0.25, 0.5, 1.0, 2.0, 4.0)]
        noises = [fit.noise * n for n in (0.35, 0.6, 1.0)]
        usual = choose(kernel, points, y, jitter, (1.0, 1.5, 2.0, 3.0), heights, noises, usual, width=height.sd)
    belief = condition(kernel, usual, points, y, jitter, here, samples)
    return belief.mean, belief.draws


def _from_optimum(model: OrderedModel, theta: FloatArray, inputs: Inputs) -> FloatArray:
    """[n, dims + categories] octaves from the optimum at each point's own fidelity."""
    parts = model.layout.slices()
    slopes = theta[parts["B"]].reshape(model.layout.dims, model.layout.names)
    x = inputs.x - theta[parts["a"]] - inputs.z @ slopes.T
    return np.concatenate([x, 2 * inputs.c], axis=1)
