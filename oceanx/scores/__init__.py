"""Forecast + truth → labelled scores. xarray, never torch."""
