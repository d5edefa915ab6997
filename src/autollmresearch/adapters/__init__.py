"""Thin adapters: the agent's dialogue as an environment of other people's trainers and hubs (docs/adapters.md)."""
