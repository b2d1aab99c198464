"""The Feature maps page: the walk, the grid, and what can be asked about a layer."""
