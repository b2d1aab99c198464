"""Figures taken by hand: ``python -m tests.benchmarks.NAME FOLDER``; nothing is asserted.

FOLDER holds class folders, or train/ and val/ with class folders. Weights are found as the
product finds them (KERAS_HOME). Compare the ratios: each is taken in one process on one machine.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the product sets it for its runs
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
