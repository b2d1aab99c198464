"""Labels, exclusions and splits laid over a set's pictures, every change of which can be undone."""
