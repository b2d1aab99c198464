"""Evaluation of finished runs: metrics, intervals, label issues, comparisons. Imports no Keras."""
