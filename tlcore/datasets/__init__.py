"""Bytes to checked RGB pictures, pictures to a network's geometry, and data sets on disk."""
