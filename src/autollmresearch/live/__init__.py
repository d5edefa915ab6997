"""Studies on real runs: suggest, tell, run; the Optuna sampler."""
