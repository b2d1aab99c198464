"""Training runs: a run is a folder and a process; its state is read from its files.

Of all that is here only ``trained``, ``network`` and ``top`` load Keras; the others load these
where they need them.

===============  ==============================================================
config, options  what is asked of a run
store, run       runs on disk; orders: make, resume, stop, delete
worker           the process of a run; launcher starts it
checks           what is refused before anything is computed
order            which images in which order: a function of (seed, stage, epoch)
images         files → the network's pixels, views included
network          the backbone with its head, frozen, and the ways through it
supply           pixels → what the frozen layers make of them, cached
inputs           those values, as a stage asks for them
optimizers       NumPy's updates, equal to those of Keras
head             the dense head in NumPy, equal to Keras
top              the unfrozen blocks and the head in Keras
pace             how often to say where it is, and to ask whether to end
fit              epochs, early stopping, checkpoints: the same for both
checkpoint       what a stage needs to go on
desk             what the stages of one run share
train            the recipe
memory, probe    what a run will cost
===============  ==============================================================
"""
