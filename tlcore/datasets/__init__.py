"""Bytes to checked RGB images, images to a network's geometry, and datasets on disk."""
