"""The micro lab: a procedural corpus, a tiny decoder whose replicas train side by side, and its training loop."""
