"""Figures taken by hand: ``python -m tests.benchmarks.NAME --help``; nothing is asserted.

Weights are found as the product finds them (KERAS_HOME). Compare the ratios: each is taken in one
process on one machine.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
