"""The Fine-tune page: ``form`` and its ``cost``, ``view`` of a run, ``listing`` of all runs."""
