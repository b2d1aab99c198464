"""Backbones, heads and predictions."""
