"""What each kind of layer does, in a few words for a first-time reader."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CONVOLUTION = (
    "Slides many small windows of learned weights over what it is given. Each window answers "
    "strongly where it finds its own pattern: an edge at first, later an eye or a wheel. Each "
    "tile is the answer of one window, place by place."
)
_JOIN = "Brings several branches together"
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "InputLayer": "The image as the network gets it: its red, green and blue.",
        "Conv2D": _CONVOLUTION,
        "DepthwiseConv2D": "A convolution that looks at each channel by itself: cheap, because "
        "no window reads all channels. The next layer mixes them.",
        "SeparableConv2D": "Looks at each channel by itself first and mixes them afterwards: "
        "nearly as good as a full convolution, with far fewer weights.",
        "BatchNormalization": "Moves and scales each channel to a common range that was learned "
        "in training, so that the next layer finds what it is used to. No pattern changes.",
        "LayerNormalization": "Brings the channels at each place to a common range. It makes deep "
        "networks easier to train; no pattern is lost.",
        "ReLU": "Keeps what is above zero and cuts off the rest. What is left says “here it is”, "
        "and black says “not here”. Without such a step many layers were no more than one.",
        "Activation": "Bends the values: weak or negative answers are pushed towards zero, strong "
        "ones stay. Without such a step many layers were no more than one.",
        "MaxPooling2D": "Makes the maps smaller and keeps the strongest answer in each window: "
        "where exactly something was matters less than that it was there.",
        "AveragePooling2D": "Makes the maps smaller by taking means.",
        "GlobalAveragePooling2D": "Takes each map's mean: one number a channel, no place left.",
        "ZeroPadding2D": "Puts a border of zeros around the maps, so that the next window can "
        "look over the edge. Nothing else changes.",
        "Add": f"{_JOIN} by adding them: what came from further down plus what the block has "
        "found. Such shortcuts are what lets a network be very deep.",
        "Concatenate": f"{_JOIN} by putting their channels one after the other.",
        "Multiply": f"{_JOIN} by multiplying: one branch says how much each channel of the other "
        "matters in this image.",
        "Dropout": "Switches off some values at random while learning, so that nothing relies on "
        "one alone. In an answer, as here, it does nothing.",
        "Rescaling": "Brings the pixels from 0…255 to the range that the network knows.",
        "Normalization": "Takes the mean colour away and divides by the usual spread.",
        "Dense": "Mixes all channels at each place with learned weights.",
        "LayerScale": "Multiplies each channel by one learned number, small at first: the block "
        "begins with a whisper and learns how loud to be.",
        "Reshape": "Writes the same numbers in another arrangement; nothing is computed.",
        "Sequential": "A few layers one after the other under one name. Shown is what the last of "
        "them gives.",
        "Functional": "Several layers under one name. Shown is what the last of them gives.",
        "LeakyReLU": "Keeps what is above zero and lets a small share of the rest through, so that "
        "no channel falls silent for good.",
        "PReLU": "Keeps what is above zero; how much of the rest comes through is learned.",
        "ELU": "Keeps what is above zero and bends the rest smoothly towards −1.",
        "Softmax": "Turns answers into shares that sum to 1.",
        "Flatten": "Writes all maps into one long row of numbers, place after place.",
        "GlobalMaxPooling2D": "Takes each map's highest value: one number a channel, no place.",
        "Identity": "Hands on what it is given, unchanged.",
    }
)
UNKNOWN = "A step between the layers around it; compare the page before and after it."


def layer_text(kind: str) -> str:
    """Return what a layer of this Keras type does."""
    return WORDS.get(kind, UNKNOWN)
