"""The terms of the equations, one per file. torch, never xarray."""
