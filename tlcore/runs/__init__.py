"""Training runs: a run is a folder and a process; its state is read from its files.

Of all that is here only ``trained``, ``training.network`` and ``training.top`` load Keras, and
``training`` loads the two where it needs them.
"""
