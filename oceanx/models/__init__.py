"""Models: each a Step, `(state, forcing) -> state`, one file a model. torch, never xarray."""
