"""A study at one scale that learns from one at a quarter of it."""

import math

import optuna
import optunahub


def train(trial: optuna.Trial, parameters: float) -> float:  # stands for a training run
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    best = 1e-2 * (parameters / 1e6) ** -0.5
    return 3.0 + 0.3 * math.log10(lr / best) ** 2


cheap = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
cheap.optimize(lambda trial: train(trial, 1e6), n_trials=10)

module = optunahub.load_module("samplers/autollm")
sampler = module.AutoLLMSampler(evidence=[(cheap, {"N": 1e6})], fidelity={"N": 4e6}, policy="analyst", seed=0)
study = optuna.create_study(sampler=sampler)
study.optimize(lambda trial: train(trial, 4e6), n_trials=3)
print(study.best_params, study.trials[0].user_attrs["reasoning"])
