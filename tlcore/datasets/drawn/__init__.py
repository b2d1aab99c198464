"""The sample pictures: scenes and things, drawn by code from a seeded generator."""
