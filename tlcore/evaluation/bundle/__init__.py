"""A run's network for other programs: four formats with the preprocessing inside, each compared
with the page's own answers in a fresh process before it is handed out.

===========  ==================================================================
formats      the table of formats, and how far each may differ
graph        uint8 pictures → probabilities of all classes, in plain Keras layers
convert      that network in each format
check        each format in a process of its own, against the page
card         the model card
predict      the program that goes into the bundle; it knows nothing of ours
make         the recipe
===========  ==================================================================
"""
