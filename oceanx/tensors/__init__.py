"""State, operators and integrators. torch, never xarray."""
