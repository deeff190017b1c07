"""Assimilation: a model, observations and a method make analyses, window after window."""
