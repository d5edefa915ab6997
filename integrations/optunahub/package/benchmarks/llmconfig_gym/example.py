"""Random search on one experiment."""

import optuna
import optunahub

problem = optunahub.load_module("benchmarks/llmconfig_gym").Problem("micro/N98k-D1M")
study = optuna.create_study(directions=problem.directions, sampler=optuna.samplers.RandomSampler(seed=0))
study.optimize(problem, n_trials=5)
print(study.best_trial.user_attrs["outcome"])
