"""Language-model optimisers of the literature; who answers is any language model of ours (see named.py)."""
