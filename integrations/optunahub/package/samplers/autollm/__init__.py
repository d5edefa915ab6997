"""A sampler that learns from cheaper studies."""

from autollmresearch.live import AutoLLMSampler

__all__ = ["AutoLLMSampler"]
