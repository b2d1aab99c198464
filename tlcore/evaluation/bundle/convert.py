"""The network in each format, written by Keras' and TensorFlow's own means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import keras
import tensorflow as tf

from tlcore.evaluation.bundle.formats import FORMATS


def write_keras(model: keras.Model, folder: Path) -> None:
    model.save(folder / FORMATS["keras"].file)


def write_saved_model(model: keras.Model, folder: Path) -> None:
    """One signature: "picture" uint8 (n, size, size, 3) → "probabilities" (n, classes).

    By TensorFlow's own saver: Keras' export writes every weight twice.
    """
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    serve = tf.function(
        lambda picture: {"probabilities": model(picture, training=False)},
        input_signature=[tf.TensorSpec(model.input_shape, tf.uint8, name="picture")],
    )
    path = str(folder / FORMATS["saved_model"].file)
    tf.saved_model.save(module, path, signatures={"serving_default": serve})


def write_tflite(model: keras.Model, folder: Path) -> None:
    """From the SavedModel, which must have been written before."""
    _tflite(folder, "tflite", [])


def write_tflite_int8(model: keras.Model, folder: Path) -> None:
    """The same with weights in 8 bits: dynamic-range quantisation, no pictures needed for it.

    https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization
    """
    _tflite(folder, "tflite-int8", [tf.lite.Optimize.DEFAULT])


def _tflite(folder: Path, name: str, optimizations: list[tf.lite.Optimize]) -> None:
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
