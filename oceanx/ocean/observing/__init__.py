"""Observations made, checked, thinned and matched with what a model holds."""
