"""How stores are found and opened: the catalog, one store or several merged, here or in the cloud."""
