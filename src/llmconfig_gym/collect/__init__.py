"""Run real experiments to make a table."""
