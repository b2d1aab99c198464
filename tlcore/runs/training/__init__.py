"""How a run learns. ``features`` and ``top`` need Keras, and ``train`` where it calls them.

===============  ==============================================================
order            which pictures in which order: a function of (seed, stage, epoch)
pictures         files → the network's pixels, views included
features         pixels → what the frozen layers make of them, cached
inputs           those values, as a stage asks for them
optimizers       NumPy's updates, equal to those of Keras
head             the dense head in NumPy, equal to Keras
top              the unfrozen blocks and the head in Keras
fit              epochs, early stopping, checkpoints: the same for both
checkpoint       what a stage needs to go on
train            the recipe
===============  ==============================================================
"""
