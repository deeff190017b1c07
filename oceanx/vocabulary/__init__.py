"""Floor 0: the words everything else is said in. Imports neither xarray nor torch."""
