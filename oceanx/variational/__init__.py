"""Assimilation on tensors: methods that turn a background and observations into an analysis, over any Step."""
