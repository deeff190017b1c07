"""Files → CF Zarr stores → Datasets. xarray, never torch."""
