"""A run's network with its preprocessing in front and every class behind, in plain Keras layers.

No Lambda and no class of ours, so that the file loads with Keras alone in its safe mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import keras

# Of ImageNet, as keras.applications.imagenet_utils has them.
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red; 0…255
_TORCH_MEAN = (0.485, 0.456, 0.406)  # red, green, blue; 0…1
_TORCH_DEVIATION = (0.229, 0.224, 0.225)


def deployable(trained: keras.Model, mode: str) -> keras.Model:
    """Return the model uint8 (n, size, size, 3) RGB → float32 (n, classes), each row sums to 1.

    Args:
        trained: float32 (n, size, size, 3), preprocessed → one sigmoid unit or a softmax.
        mode: how the backbone wants its pixels, a key of tlcore.models.catalogue.MODES.
    """
    picture = keras.Input(trained.input_shape[1:], dtype="uint8", name="picture")
    answer = trained(PREPROCESSING[mode](picture))
    if answer.shape[-1] == 1:
        answer = _both(answer)
    return keras.Model(picture, answer, name="picture_to_probabilities")


def _both(second: Any) -> Any:
    """A sigmoid unit says the second class; the first has what is left of 1."""
    first = keras.layers.Rescaling(-1.0, offset=1.0, name="first_class")(second)
    return keras.layers.Concatenate(name="both_classes")([first, second])


def _tf(picture: Any) -> Any:
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(picture)


def _caffe(picture: Any) -> Any:
    floats = keras.layers.Rescaling(1.0, name="as_float")(picture)
    turned = keras.ops.flip(floats, axis=-1)  # RGB to BGR
    variance = (1.0,) * 3
    layer = keras.layers.Normalization(mean=_CAFFE_MEAN, variance=variance, name="preprocessing")
    return layer(turned)


def _torch(picture: Any) -> Any:
    scaled = keras.layers.Rescaling(1 / 255, name="to_one")(picture)
    variance = tuple(deviation**2 for deviation in _TORCH_DEVIATION)
    layer = keras.layers.Normalization(mean=_TORCH_MEAN, variance=variance, name="preprocessing")
    return layer(scaled)


def _inside(picture: Any) -> Any:
    return keras.layers.Rescaling(1.0, name="as_float")(picture)  # the network scales by itself


PREPROCESSING: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"tf": _tf, "caffe": _caffe, "torch": _torch, "inside": _inside}
)
