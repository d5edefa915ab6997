"""Multi-fidelity Bayesian optimisation: one Gaussian process over configuration and fidelity says what to run next."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from autollmresearch.active.records import ActiveProblem, ActiveState, Query
from autollmresearch.baselines.pooling import clip_losses
from autollmresearch.policy import Proposal
from llmconfig_gym.errors import need
from llmconfig_gym.parameter import FloatArray

if TYPE_CHECKING:
    from botorch.models.gp_regression_fidelity import SingleTaskMultiFidelityGP

FIRST = 5
"""Runs at random before there is a model."""

POINTS = 300
"""Most runs that are compared, and most configurations of the target, drawn at random: covariances grow with the
square."""

TINY = 1e-12
"""The least variance: rounding may make one negative."""

NODES = [NormalDist().inv_cdf((i + 0.5) / 32) for i in range(32)]
"""Midpoints of equally probable parts of the standard normal distribution."""


@dataclass(frozen=True)
class MultiFidelityPolicy:
    """The run of the greatest value per cost under BoTorch's `SingleTaskMultiFidelityGP` (Wu et al., UAI 2019).

    Attributes:
        gradient: a run is worth its knowledge gradient, what the best posterior mean on the target is expected to rise
            by (Frazier, Powell and Dayanik 2009; over cost for several sources: Poloczek, Wang and Frazier, NeurIPS
            2017). A pool is finite, so it is the expectation over the run's outcome itself, without an inner search.
            Otherwise it is worth the expected improvement of its configuration on the target, times the correlation of
            the two outcomes (Huang et al. 2006, eq. 6, 7 and 9).
        runs: most runs that are paid for; each takes as long as a fit.

    Fidelity is one number: the logarithm of cost, 0 at the cheapest experiment and 1 at the target; an experiment as
    dear as the target is never run. What is recommended has the best posterior mean on the target.
    """

    gradient: bool
    runs: int = 100

    def __post_init__(self) -> None:
        need("botorch", "bench", "the method mf-kg" if self.gradient else "the method mf-gp")

    def query(self, states: Sequence[ActiveState]) -> list[Query | None]:
        return [self._next(state) for state in states]

    def recommend(self, states: Sequence[ActiveState]) -> list[Proposal]:
        return [_recommend(state) for state in states]

    def _next(self, state: ActiveState) -> Query | None:
        cheaper = [s for s in state.problem.cheaper if state.problem.sources[s].cost < 1]
        sources = [s for s in (*cheaper, state.problem.target) if state.affords(s) and len(state.untried(s))]
        if not sources or len(state.runs) >= self.runs:
            return None
        rng = state.rng()
        if len(state.runs) < FIRST:
            source = min(sources, key=lambda s: (s == state.problem.target, state.spent(s)))  # equal costs, no target
            return _query(state, source, int(rng.choice(state.untried(source))), "drawn at random")
        rows = {s: _some(state.untried(s), rng, POINTS // len(sources)) for s in sources}
        x = np.concatenate([_features(state.problem, s)[r] for s, r in rows.items()])
        costs = np.concatenate([np.full(len(r), state.problem.sources[s].cost) for s, r in rows.items()])
        target = _features(state.problem, state.problem.target)
        target = target[_some(np.arange(len(target)), rng, POINTS)]
        worth = _knowledge_gradient if self.gradient else _correlated_improvement
        best = int(np.argmax(worth(_model(state), x, target) / costs))
        where = [(s, int(row)) for s, r in rows.items() for row in r]
        return _query(state, *where[best], "the most expected per cost")


def _query(state: ActiveState, source: int, row: int, why: str) -> Query:
    return Query(source, Proposal(state.problem.config(source, row), why))


def _some(rows: NDArray[np.int64], rng: np.random.Generator, most: int) -> NDArray[np.int64]:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, size=most, replace=False))


def _recommend(state: ActiveState) -> Proposal:
    target = state.problem.target
    if not state.runs:
        row = int(state.rng().choice(len(state.problem.sources[target].pool)))
        return _query(state, target, row, "drawn at random").proposal
    mean = _posterior(_model(state), _features(state.problem, target))[0]
    return _query(state, target, int(np.argmax(mean)), "the best posterior mean on the target").proposal


_pools: WeakKeyDictionary[ActiveProblem, dict[int, FloatArray]] = WeakKeyDictionary()
"""Features by problem and source: they depend on nothing else, and moving 10,000 configurations takes a second."""


def _features(problem: ActiveProblem, source: int) -> FloatArray:
    """A source's pool in the target's coordinates, and its fidelity: [rows, width + 1]."""
    known = _pools.setdefault(problem, {})
    if source not in known:
        at, space = problem.sources[source], problem.sources[-1].pool.space
        encoded = at.pool.encoded
        if at.pool.space != space:
            configs = (at.pool.config(row) for row in range(len(at.pool)))
            encoded = np.stack([space.encode(space.translate(c, at.pool.space)) for c in configs])
        least = min(s.cost for s in problem.sources)
        fidelity = 1.0 if least >= 1 else 1 - math.log(at.cost) / math.log(least)
        known[source] = np.column_stack([encoded, np.full(len(encoded), fidelity)])
    return known[source]


def _told(state: ActiveState) -> tuple[FloatArray, FloatArray]:
    """The runs so far: features [n, width + 1] and gains [n], of mean 0 and spread 1, more is better."""
    x = np.stack([_features(state.problem, r.query.source)[r.row] for r in state.runs])
    y = np.empty(len(state.runs))
    for source in {r.query.source for r in state.runs}:
        mine = [i for i, r in enumerate(state.runs) if r.query.source == source]
        y[mine] = clip_losses(state.filled(source), state.problem.clip)
    spread = float(y.std())
    return x, -(y - y.mean()) / (spread if spread > 0 else 1.0)


_fitted: WeakKeyDictionary[ActiveProblem, dict[tuple[tuple[int, int], ...], dict[str, Any]]] = WeakKeyDictionary()
"""Hyperparameters by problem and the runs that they were fitted to: they depend on nothing else."""


def _model(state: ActiveState) -> SingleTaskMultiFidelityGP:
    """The process, conditioned on all runs; hyperparameters are those of the first runs, fitted anew as these grow by
    half."""
    import torch

    torch.set_num_threads(1)  # small problems: more threads only wait for each other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on few points BoTorch doubts their scale, and its search that it converged
        from botorch.models.gp_regression_fidelity import SingleTaskMultiFidelityGP

        def make(x: FloatArray, y: FloatArray) -> SingleTaskMultiFidelityGP:
            data = torch.tensor(x), torch.tensor(y)[:, None]
            return SingleTaskMultiFidelityGP(*data, data_fidelities=[x.shape[1] - 1], outcome_transform=None)

        count = 1
        while (grown := count + (count + 1) // 2) <= len(state.runs):
            count = grown
        some = ActiveState(state.problem, state.runs[:count], state.seed)
        key = tuple((r.query.source, r.row) for r in some.runs)
        known = _fitted.setdefault(state.problem, {})
        if key not in known:
            known[key] = _fit(make(*_told(some)))
        model = make(*_told(state))
        model.load_state_dict(known[key])
        model.eval()
    return model


def _fit(model: SingleTaskMultiFidelityGP) -> dict[str, Any]:
    """Hyperparameters of the greatest marginal likelihood; BoTorch's first guess where that search fails."""
    from botorch.exceptions.errors import ModelFittingError
    from botorch.fit import fit_gpytorch_mll
    from gpytorch.mlls import ExactMarginalLogLikelihood

    guess = {k: v.clone() for k, v in model.state_dict().items()}
    try:
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    except ModelFittingError:
        return guess
    return {k: v.clone() for k, v in model.state_dict().items()}


def _posterior(model: SingleTaskMultiFidelityGP, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means [..., n] and covariances [..., n, n] of the expectations at `x` [..., n, width + 1]."""
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        posterior = model(torch.tensor(x))
        return posterior.mean.numpy(), posterior.covariance_matrix.numpy()


def _knowledge_gradient(model: SingleTaskMultiFidelityGP, x: FloatArray, target: FloatArray) -> FloatArray:
    """[n] what the greatest of the posterior means at `target` [m] is expected to rise by, for each of the runs `x`."""
    mean, covariance = _posterior(model, np.concatenate([x, target]))
    n, noise = len(x), float(model.likelihood.noise.detach().mean())
    shift = covariance[n:, :n] / np.sqrt(np.maximum(np.diag(covariance)[:n], 0) + noise)  # by an outcome one sd better
    risen = sum((mean[n:, None] + shift * z).max(axis=0) for z in NODES) / len(NODES)
    return np.asarray(risen - mean[n:].max())


def _correlated_improvement(model: SingleTaskMultiFidelityGP, x: FloatArray, target: FloatArray) -> FloatArray:
    """[n] expected improvement on the best mean at `target` of the configurations of runs `x`, times correlation."""
    from scipy.stats import norm

    there = np.column_stack([x[:, :-1], np.ones(len(x))])
    mean, covariance = _posterior(model, np.stack([x, there], axis=1))
    sd = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), TINY))
    over = mean[:, 1] - _posterior(model, target)[0].max()
    z = over / sd[:, 1]
    improvement = over * norm.cdf(z) + sd[:, 1] * norm.pdf(z)
    return np.asarray(improvement * covariance[:, 0, 1] / sd.prod(axis=1))
