"""The benchmark: protocols, metrics, runner, report."""
