"""A run as one plain Keras script, and as a notebook of the same cells.

========  ==================================================================
facts     what a script must know of its run
pictures  cells: which pictures, and how they become squares
network   cells: the backbone, and what it makes of the pictures
epochs    cells: what is right, how an epoch goes
stages    cells: the head, the top blocks, what came of it
cells     all of them in order
paper     the same as a .py file or a notebook
make      the recipe
========  ==================================================================
"""
