"""Questions that only a head has to be trained for: on cached features each takes seconds.

How accurate is the head with fewer pictures, how much does it depend on the division, which
learning rate suits it. All of them ask a run that has its features; nothing here needs Keras.
The heads learn from the pictures as they are, without views, for as many epochs as the run's own
head needed; for fewer where a study would else take more than about a minute (``WORK``).
"""
