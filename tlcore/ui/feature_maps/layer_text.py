"""What each kind of layer does: first in one sentence, then in a few more."""

from __future__ import annotations

_CONVOLUTION = (
    "Slides small windows of learned weights over its input, one a channel. Each window responds "
    "strongly where its own pattern is: an edge in early layers, an eye or a wheel in late ones. "
    "Each tile is the response of one window, place by place."
)
_JOIN = "Brings several branches together"
WORDS = {
    "InputLayer": "The image as the network gets it: red, green and blue.",
    "Conv2D": _CONVOLUTION,
    "Conv2D 1×1": "Mixes the channels of one pixel with learned weights; it has no window and sees "
    "no neighbours. It brings together what the layers before it found at that place.",
    "DepthwiseConv2D": "A convolution of each channel by itself, without mixing them. That is "
    "cheap, because no window reads all channels; the next layer mixes them.",
    "SeparableConv2D": "Convolves each channel by itself first and mixes them afterwards. "
    "Nearly as good as a full convolution, with far fewer weights.",
    "BatchNormalization": "Shifts and scales each channel to a common range, learned in "
    "training. The next layer gets values of a steady size; no pattern changes.",
    "LayerNormalization": "Brings the channels at each place to a common range. Deep networks "
    "become easier to train; no pattern is lost.",
    "ReLU": "Sets negative values to zero and leaves the others. Bright means “the pattern is "
    "here”, black “not here”. Without a non-linear step many layers would be equal to one.",
    "ReLU6": "Sets negative values to zero, cuts off at 6 and leaves what is between. Bright means "
    "“the pattern is here”, black “not here”. Without a non-linear step many layers would be equal "
    "to one; the limit keeps the values small on phones.",
    "Activation": "Pushes weak and negative values towards zero and leaves strong ones. "
    "Without a non-linear step many layers would be equal to one.",
    "MaxPooling2D": "Makes the maps smaller and keeps the highest value of each window. "
    "That a pattern is there matters more than where exactly.",
    "AveragePooling2D": "Makes the maps smaller by taking means.",
    "GlobalAveragePooling2D": "Takes the mean of each map. One number a channel is left.",
    "ZeroPadding2D": "Puts a border of zeros around the maps. The next window can then "
    "reach over the edge; nothing else changes.",
    "Add": f"{_JOIN} by adding them: the input of the block plus its output. Such shortcuts "
    "(residual connections) make very deep networks trainable.",
    "Concatenate": f"{_JOIN} by putting their channels one after the other.",
    "Multiply": f"{_JOIN} by multiplying. One branch weights each channel of the other by how "
    "much it matters in this image (squeeze-and-excitation).",
    "Dropout": "Switches off some values at random while training. In a prediction, as here, "
    "it does nothing.",
    "Rescaling": "Scales the pixels from 0…255 to the range that the network was trained on.",
    "Normalization": "Subtracts the mean colour and divides by the standard deviation.",
    "Dense": "Mixes all channels at each place with learned weights.",
    "LayerScale": "Multiplies each channel by one learned number. It is small at first, so "
    "that a block begins with little influence on the result.",
    "Reshape": "Puts the same numbers into another shape; nothing is computed.",
    "Sequential": "A few layers one after the other under one name. The output of the last one "
    "is shown.",
    "Functional": "Several layers under one name. The output of the last one is shown.",
    "LeakyReLU": "Leaves positive values and lets a small share of negative ones through. No "
    "channel can become zero for good.",
    "PReLU": "Leaves positive values; the share of negative ones that passes is learned.",
    "ELU": "Leaves positive values and bends negative ones smoothly towards −1.",
    "Softmax": "Turns scores into probabilities that sum to 1.",
    "Flatten": "Puts all maps into one long row of numbers, place after place.",
    "GlobalMaxPooling2D": "Takes the highest value of each map. One number a channel is left.",
    "Identity": "Returns its input unchanged.",
}
UNKNOWN = "A step between the layers around it. Compare the maps before and after it."


def layer_text(kind: str) -> str:
    """Return what a layer of this Keras type does."""
    return WORDS.get(kind, UNKNOWN)


def first_sentence(kind: str) -> str:
    """Return what a layer of this Keras type does in one sentence."""
    return layer_text(kind).split(". ")[0].removesuffix(".") + "."
