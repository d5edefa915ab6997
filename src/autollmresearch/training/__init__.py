"""Training: prior, curate, simulate, distill, reinforce. Each step reads the files of the one before it."""

STEPS = ("prior", "curate", "simulate", "distill", "reinforce")
"""In the order in which they are run."""
