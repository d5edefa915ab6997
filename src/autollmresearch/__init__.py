"""AutoLLMResearch: learn from cheap LLM experiments, propose the configuration for the expensive one."""
