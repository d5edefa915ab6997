"""AutoLLMResearch: learn from cheap LLM experiments, propose the configuration for the expensive one."""

from autollmresearch.frames import results

__all__ = ["results"]
