"""Backbones, heads and what they make of an image.

``catalogue``, ``weights``, ``labels``, ``answers`` and ``grid`` need no Keras, so that a web page
may import them; every other module here loads Keras and belongs in a process of ours.
"""
