"""A live study as the page shows it: plain JSON data from its storage, cheap phases included."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from autollmresearch.benchmark.tables import Table
from autollmresearch.live.export import phases_of
from autollmresearch.live.propose import best_trial
from autollmresearch.live.spec import Spec
from autollmresearch.live.study import LiveStudy
from autollmresearch.live.trial import LiveTrial
from autollmresearch.report.benchmark import looks
from autollmresearch.report.conversation import expected_text, trial_turn
from autollmresearch.report.landscape import Axis, axes_of, code_of, layer, rounded, run_text
from llmconfig_gym.pool import Pool
from llmconfig_gym.text import number


def study_run(study: LiveStudy) -> dict[str, Any]:
    """What the page shows of a study: the expensive experiment first, then the cheap phases that `run` made."""
    parts = [(part.name, part.spec, part.trials()) for part in (study, *phases_of(study))]
    spec, trials = study.spec, parts[0][2]
    return {
        "kind": "study",
        "name": study.name,
        "facts": _facts(spec, trials),
        "methods": looks([spec.policy]),
        "progress": {
            "metric": spec.metric.name,
            "direction": spec.metric.direction,
            "budget": spec.budget,
            "method": spec.policy,
            "trials": [
                {"n": t.number, "value": t.value, "expected": t.mean, "sd": t.sd, "status": t.status} for t in trials
            ],
        },
        "costs": asdict(_costs([(s, t) for _, s, t in parts])),
        "experiments": [_experiment(*part) for part in parts],
        "notes": [],
        "settings": "",
    }


def _facts(spec: Spec, trials: list[LiveTrial]) -> list[str]:
    best = best_trial(spec, trials)
    found = "No trial has a value yet."
    if best is not None and best.value is not None:
        found = f"Best so far: trial {best.number}, {number(best.value, 5)}, at {run_text(best.config)}."
    known = sum(len(r.losses) for r in spec.cheaper)
    return [
        f"{spec.metric.name}, {spec.metric.direction}d, at {spec.fidelity.text()}.",
        f"{len(trials)} of {spec.budget} trials used; proposed by {spec.policy} from {known} cheaper runs.",
        found,
    ]


def over(spec: Spec, trials: list[LiveTrial]) -> bool:
    """Whether the budget is spent and nothing is open."""
    return len(trials) >= spec.budget and all(t.status != "open" for t in trials)


def _experiment(name: str, spec: Spec, trials: list[LiveTrial]) -> dict[str, Any]:
    own = _pool(spec, trials)
    axes = axes_of(spec.space, [r.pool for r in spec.cheaper] + ([own[0]] if own else []))
    layers = [
        layer(f"cheaper runs, {runs.fidelity.text()}", axes, runs.pool, runs.losses, spec.metric)
        for runs in reversed(spec.cheaper)  # the dearest is nearest to the target
    ]
    if own:  # shown first, unless it has less to show
        mine = layer(f"this study's trials, {_at(spec)}", axes, *own, spec.metric)
        layers.insert(1 if layers and layers[0]["cells"] > mine["cells"] else 0, mine)
    return {
        "name": f"{name}: {_at(spec)}",
        "facts": [],
        "metric": spec.metric.name,
        "direction": spec.metric.direction,
        "axes": [{"name": a.name, "labels": a.to_dict()["labels"]} for a in axes],
        "layers": layers,
        "worst": None,
        "optimum": _optimum(spec, trials, axes),
        "seed": spec.seed,
        "paths": [_path(spec, trials, axes)],
        "tables": [asdict(_trials(spec, trials)), asdict(_evidence(spec))],
        "episodes": [
            {
                "method": spec.policy,
                "protocol": "",
                "seed": spec.seed,
                "turns": [trial_turn(spec, t) for t in trials],
            }
        ],
    }


def _at(spec: Spec) -> str:
    return spec.fidelity.text()


def _pool(spec: Spec, trials: list[LiveTrial]) -> tuple[Pool, Any] | None:
    """The finished trials and their losses; None before there is one."""
    complete = [t for t in trials if t.value is not None]
    if not complete:
        return None
    pool = Pool.from_configs(spec.space, [spec.space.check(t.config) for t in complete])
    return pool, spec.metric.sign * np.array([t.value for t in complete], dtype=np.float64)


def _optimum(spec: Spec, trials: list[LiveTrial], axes: tuple[Axis, ...]) -> dict[str, Any] | None:
    """The best trial, once there will be no better one."""
    best = best_trial(spec, trials)
    if best is None or not over(spec, trials):
        return None
    return {"code": code_of(axes, best.config), "value": rounded(best.value), "text": run_text(best.config)}


def _path(spec: Spec, trials: list[LiveTrial], axes: tuple[Axis, ...]) -> dict[str, Any]:
    return {
        "method": spec.policy,
        "protocol": "",
        "trials": [
            {
                "n": t.number,
                "code": code_of(axes, t.config),
                "value": rounded(t.value),
                "text": run_text(t.config),
                "state": t.status,
            }
            for t in trials
        ],
    }


def _trials(spec: Spec, trials: list[LiveTrial]) -> Table:
    rows = (
        (
            str(t.number),
            t.status if t.status != "failed" else f"failed: {t.failure}",
            "" if t.value is None else number(t.value, 5),
            expected_text(t.mean, t.sd),
            run_text(t.config),
        )
        for t in trials
    )
    return Table("Trials", ("trial", "status", spec.metric.name, "expected", "configuration"), tuple(rows))


def _evidence(spec: Spec) -> Table:
    """The cheaper runs that were known."""
    rows = []
    for r in spec.cheaper:
        best = int(np.argmin(r.losses))
        value = number(spec.metric.sign * float(r.losses[best]), 5)
        rows.append((r.fidelity.text(), str(len(r.losses)), value, run_text(r.pool.config(best))))
    return Table("Evidence: cheaper runs", ("fidelity", "runs", "best value", "at"), tuple(rows))


def _costs(parts: list[tuple[Spec, list[LiveTrial]]]) -> Table:
    """What the trials of each part cost, in its fidelity's unit and in time."""
    rows = []
    for spec, trials in parts:
        times = [(t.ended - t.started).total_seconds() for t in trials if t.started and t.ended]
        cost = f"{number(len(trials) * spec.fidelity.cost)} {spec.fidelity.unit}"
        rows.append((_at(spec), str(len(trials)), str(spec.budget), cost, f"{sum(times):.0f}" if times else "-"))
    headers = ("fidelity", "trials", "budget", "cost of the trials", "seconds, from proposed to told")
    return Table("What the trials cost", headers, tuple(rows))
