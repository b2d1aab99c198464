"""Training runs: a run is a folder and a process; its state is read from its files.

``config``, ``events``, ``store``, ``locks`` and ``launcher`` need no Keras; ``features``,
``train``, ``trained`` and ``worker`` do.
"""
