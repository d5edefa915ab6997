"""Training: prior, curate, simulate, distill, reinforce. Each step reads the files of the one before it."""
