"""AutoLLMSampler: an Optuna sampler that learns from cheaper studies.

    optuna.create_study(sampler=AutoLLMSampler(evidence=[(cheap_study, {"N": 1e8})], fidelity={"N": 7e9}))

Any policy by name decides. The sampler keeps nothing that is not in the study, its evidence and its settings: a study
resumed from its storage gets the same next proposal, whichever process asks. Each trial carries why it was proposed.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import intersection_search_space

from autollmresearch.errors import BrokenPolicy, EvidenceIgnored, InvalidEvidence, InvalidFidelity, MultiObjectiveStudy
from autollmresearch.live.choice import choose
from autollmresearch.live.claims import claim, keep, wait_for_lower
from autollmresearch.live.distributions import SearchSpace, legal_value
from autollmresearch.live.evidence import FIDELITY, read_evidence
from autollmresearch.live.fidelity import fidelity_of
from autollmresearch.live.history import CLAIM, History, read_history
from autollmresearch.live.notes import Explanation, save_explanation
from autollmresearch.live.problem import Prepared
from autollmresearch.methods import make_policy
from autollmresearch.policies.named import default_policy
from autollmresearch.policy import Policy, Proposal, State
from llmconfig_gym.errors import InvalidConfig
from llmconfig_gym.experiment import Direction, Fidelity, Metric
from llmconfig_gym.space import Config, Space

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from autollmresearch.live.evidence import EvidenceItem

KEPT = 4
"""Problems that are kept: those of first and of later trials, in a study or two."""

ATTEMPTS = 20
"""How often a proposal may meet another worker's claim before one is drawn at random."""


class AutoLLMSampler(BaseSampler):
    """Proposes configurations for an expensive study from cheaper ones.

    Args:
        evidence: cheaper studies: Optuna studies that say their fidelity in `user_attrs["fidelity"]`, pairs
            `(study, fidelity)`, or `CheapRuns`. They are read once, here.
        fidelity: at which scale this study runs, e.g. `{"N": "7B", "tokens": 2e10}`; by default what the study says
            in its own `user_attrs["fidelity"]`.
        policy: the name of a method (see `autollmresearch.methods`), or a policy; by default the shipped agent,
            `researcher-mini`, or `analyst` where torch or transformers is not installed.
        space: the search space, if it is to be known before the first trial has asked for its parameters: Optuna
            distributions by name, or a `Space`, whose parameters trials then ask for as `Space.to_optuna` has them.
        budget: trials that this study is expected to have.
        seed: the same seed and study give the same proposals; by default drawn at random.
        task: what kind of runs these are, for policies that read words (see `llmconfig_gym.tasks`).
        metric: what the values are called.

    Without `space`, the first trial's parameters are unknown until it asks for them; its values are then those of the
    configuration that the policy proposes in the search space of the most expensive evidence. From the second trial on
    the search space is what all finished trials have in common, as for Optuna's own samplers; other parameters are
    drawn at random.

    Raises:
        InvalidEvidence, InvalidFidelity: see there.
        UnknownMethod: no policy has this name.
    """

    def __init__(
        self,
        evidence: Iterable[EvidenceItem] = (),
        fidelity: Mapping[str, float | int | str] | Fidelity | None = None,
        *,
        policy: str | Policy | None = None,
        space: Space | Mapping[str, BaseDistribution] | None = None,
        budget: int = 10,
        seed: int | None = None,
        task: str = "other",
        metric: str = "value",
    ) -> None:
        self._evidence = read_evidence(evidence)
        self._fidelity = None if fidelity is None else fidelity_of(fidelity)
        policy = default_policy() if policy is None else policy
        self._policy = make_policy(policy) if isinstance(policy, str) else policy
        self._policy_name = policy if isinstance(policy, str) else type(policy).__name__
        self._known = space if isinstance(space, Space) else None
        self._distributions = space.to_optuna() if isinstance(space, Space) else dict(space) if space else None
        self._budget = budget
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._task = task
        self._metric = metric
        self._lock = threading.Lock()
        self._prepared: list[Prepared] = []

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_lock"} | {"_prepared": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    def reseed_rng(self) -> None:
        """Nothing to do: randomness comes from the seed and the trial's number, which no two workers share."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The search space given, else what the study's finished trials have in common."""
        _check_single_objective(study)
        if self._distributions is not None:
            return dict(self._distributions)
        return intersection_search_space(study.get_trials(deepcopy=False), include_pruned=True)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The policy's proposal in this search space; its reasoning is kept with the trial."""
        _check_single_objective(study)
        target = SearchSpace.of(search_space, self._known) if search_space else self._space_of_evidence()
        if target is None:
            keep(study, trial, {})
            self._explain(study, trial, Explanation("random", "Drawn at random: no search space is known yet."))
            return {}
        params = self._propose(study, trial, target)
        if not search_space:  # what the trial will ask for is not known: `sample_independent` takes it from the claim
            return {}
        return {n: params[n] if n in params else self._draw(study, trial, n, d) for n, d in search_space.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value in the proposal made from evidence alone, if there is one, else a random one."""
        _check_single_objective(study)
        planned = trial.system_attrs.get(CLAIM, {}).get("params", {})
        if param_name in planned:
            try:
                return legal_value(param_distribution, planned[param_name])
            except InvalidConfig:
                pass  # the evidence has another kind of parameter under this name
        return self._draw(study, trial, param_name, param_distribution)

    def _space_of_evidence(self) -> SearchSpace | None:
        """The settings of the most expensive evidence: the best guess at what a first trial will ask for."""
        return next((e.search_space for e in reversed(self._evidence) if e.search_space is not None), None)

    def _draw(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        """A uniform draw that depends on the seed, the trial's number and the parameter's name alone."""
        key = np.random.SeedSequence([self._seed, trial.number, crc32(name.encode())]).generate_state(1)
        return RandomSampler(int(key[0])).sample_independent(study, trial, name, distribution)

    def _propose(self, study: Study, trial: FrozenTrial, target: SearchSpace) -> dict[str, Any]:
        """Values for this trial that no other trial has, with the reason kept beside them."""
        prepared = self._prepare(study, target)
        wait_for_lower(study, trial)
        for _ in range(ATTEMPTS):
            history = read_history(study.get_trials(deepcopy=False), trial.number, target)
            with self._lock:
                state = State(prepared.problem(history, self._budget), history.outcomes, self._seed_of(trial))
                config, explanation = self._ask(state, history, target)
            params, expected = target.write(config), explanation.pessimistic(prepared.metric.sign)
            if len(state.untried()) == 0:
                keep(study, trial, params, expected)
            elif not claim(study, trial, params, expected):
                continue
            self._explain(study, trial, explanation)
            return params
        params = {n: self._draw(study, trial, n, d) for n, d in target.distributions.items()}
        keep(study, trial, params)
        reason = "Drawn at random: other workers took every configuration proposed."
        self._explain(study, trial, Explanation("random", reason))
        return params

    def _ask(self, state: State, history: History, target: SearchSpace) -> tuple[Config, Explanation]:
        """The policy's configuration, not tried yet, and its explanation."""
        proposals = self._policy.propose([state])
        if len(proposals) != 1 or not isinstance(proposal := proposals[0], Proposal):
            raise BrokenPolicy(f"{self._policy_name} returned {proposals!r:.80} for one state; expected one Proposal")
        cheaper = sum(len(runs.losses) for runs in state.problem.cheaper)
        counts = {"cheaper run": cheaper, "finished trial": len(history.finished), "running one": len(history.pending)}
        known = ", ".join(_count(n, thing) for thing, n in counts.items() if n)

        def written(config: Config) -> Config:
            """What it is once Optuna has it."""
            return target.read(target.write(config), target.distributions) if target.rounds else config

        told, config = choose(proposal, state, written)
        return config, Explanation(self._policy_name, told.reasoning, told.mean, told.sd, known, told.trends)

    def _seed_of(self, trial: FrozenTrial) -> int:
        return int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])

    def _explain(self, study: Study, trial: FrozenTrial, explanation: Explanation) -> None:
        save_explanation(study._storage, study._study_id, trial._trial_id, explanation)

    def _prepare(self, study: Study, target: SearchSpace) -> Prepared:
        """What does not change from trial to trial, made once per search space."""
        direction: Direction = "minimize" if study.direction.name == "MINIMIZE" else "maximize"
        fidelity = self._fidelity_of(study)
        with self._lock:
            for known in self._prepared:
                if (known.metric.direction, known.fidelity) == (direction, fidelity) and known.target.same_as(target):
                    return known
        for cheap in self._evidence:
            if cheap.direction not in (None, direction):
                raise InvalidEvidence(
                    f"evidence {cheap.name} is to {cheap.direction} and study {study.study_name!r} to {direction} its "
                    "value; they must measure the same metric"
                )
        cheaper = tuple(runs for cheap in self._evidence if (runs := cheap.in_space(target)) is not None)
        if len(cheaper) < len(self._evidence):
            names = ", ".join(target.space.names)
            message = f"{_count(len(self._evidence) - len(cheaper), 'cheaper study')} shares no setting with {names}"
            warnings.warn(message, EvidenceIgnored, stacklevel=2)
        metric = Metric(self._metric, direction)
        prepared = Prepared(target, fidelity, metric, self._task, cheaper)
        with self._lock:
            self._prepared = [prepared, *self._prepared][:KEPT]
        return prepared

    def _fidelity_of(self, study: Study) -> Fidelity:
        if self._fidelity is not None:
            return self._fidelity
        said = study._storage.get_study_user_attrs(study._study_id).get(FIDELITY)
        if said is not None:
            return fidelity_of(said)
        if self._evidence:
            raise InvalidFidelity(
                f"study {study.study_name!r} does not say at which fidelity it runs, so evidence cannot be used; "
                f'say AutoLLMSampler(fidelity={{"N": 7e9}}) or study.set_user_attr("{FIDELITY}", {{"N": 7e9}})'
            )
        return Fidelity({}, 1.0, "trials")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _check_single_objective(study: Study) -> None:
    if len(study.directions) != 1:
        raise MultiObjectiveStudy(
            f"study {study.study_name!r} has {len(study.directions)} objectives; AutoLLMSampler optimises one: combine "
            "them into one value, or use one of Optuna's multi-objective samplers"
        )
