"""Marine heatwaves after Hobday et al. (2016). xarray, never torch."""
