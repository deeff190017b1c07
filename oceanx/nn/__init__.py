"""Network families, one per file. torch, never xarray."""
