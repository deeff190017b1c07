"""What an ocean Dataset is: grids, climatologies, statistics and labels. xarray, never torch."""
