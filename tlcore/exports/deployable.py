"""A run's model for deployment: preprocessing in front, every class behind, in several formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf

from tlcore.exports.bundle_check import FORMATS

# Of ImageNet, as keras.applications.imagenet_utils has them.
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red; 0…255
_TORCH_MEAN = (0.485, 0.456, 0.406)  # red, green, blue; 0…1
_TORCH_DEVIATION = (0.229, 0.224, 0.225)


def build_deployable(trained: keras.Model, mode: str) -> keras.Model:
    """Return the model uint8 (n, size, size, 3) RGB → float32 (n, classes), each row sums to 1.

    Preprocessing is in front and every class behind, in plain Keras layers: no Lambda and no class
    of ours, so that the file loads with Keras alone in its safe mode.

    Args:
        trained: float32 (n, size, size, 3), preprocessed → one sigmoid unit or a softmax.
        mode: how the backbone wants its pixels, a key of tlcore.models.catalog.MODES.
    """
    image = keras.Input(trained.input_shape[1:], dtype="uint8", name="image")
    probabilities = trained(PREPROCESSING[mode](image))
    if probabilities.shape[-1] == 1:  # a sigmoid unit is the second class
        first = keras.layers.Rescaling(-1.0, offset=1.0, name="first_class")(probabilities)
        both = keras.layers.Concatenate(name="both_classes")
        probabilities = both([first, probabilities])
    return keras.Model(image, probabilities, name="image_to_probabilities")


def _preprocess_tf(image: Any) -> Any:
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(image)


def _preprocess_caffe(image: Any) -> Any:
    floats = keras.layers.Rescaling(1.0, name="as_float")(image)
    blue_first = keras.ops.flip(floats, axis=-1)
    return keras.layers.Normalization(mean=_CAFFE_MEAN, variance=(1.0,) * 3, name="preprocessing")(
        blue_first
    )


def _preprocess_torch(image: Any) -> Any:
    scaled = keras.layers.Rescaling(1 / 255, name="to_one")(image)
    variance = tuple(deviation**2 for deviation in _TORCH_DEVIATION)
    return keras.layers.Normalization(mean=_TORCH_MEAN, variance=variance, name="preprocessing")(
        scaled
    )


def _preprocess_inside(image: Any) -> Any:
    return keras.layers.Rescaling(1.0, name="as_float")(image)  # the backbone scales by itself


PREPROCESSING: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "tf": _preprocess_tf,
        "caffe": _preprocess_caffe,
        "torch": _preprocess_torch,
        "inside": _preprocess_inside,
    }
)


def write_keras(model: keras.Model, folder: Path) -> None:
    model.save(folder / FORMATS["keras"].file)


def write_saved_model(model: keras.Model, folder: Path) -> None:
    """One signature: "image" uint8 (n, size, size, 3) → "probabilities" (n, classes).

    By TensorFlow's own saver: Keras' export writes every weight twice.
    """
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    serve = tf.function(
        lambda image: {"probabilities": model(image, training=False)},
        input_signature=[tf.TensorSpec(model.input_shape, tf.uint8, name="image")],
    )
    path = str(folder / FORMATS["saved_model"].file)
    tf.saved_model.save(module, path, signatures={"serving_default": serve})


def write_tflite(model: keras.Model, folder: Path) -> None:
    """From the SavedModel, which must have been written before."""
    _convert(folder, "tflite", [])


def write_tflite_int8(model: keras.Model, folder: Path) -> None:
    """The same with weights in 8 bits: dynamic-range quantisation, no images needed for it.

    https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization
    """
    _convert(folder, "tflite-int8", [tf.lite.Optimize.DEFAULT])


def _convert(folder: Path, name: str, optimizations: list[tf.lite.Optimize]) -> None:
    source = folder / FORMATS["saved_model"].file
    converter = tf.lite.TFLiteConverter.from_saved_model(str(source))
    converter.optimizations = optimizations
    (folder / FORMATS[name].file).write_bytes(converter.convert())


WRITERS: Mapping[str, Callable[[keras.Model, Path], None]] = MappingProxyType(
    {
        "keras": write_keras,
        "saved_model": write_saved_model,
        "tflite": write_tflite,
        "tflite-int8": write_tflite_int8,
    }
)
