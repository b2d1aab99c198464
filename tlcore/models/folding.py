"""BatchNormalization folded into the convolutions of a frozen network, for faster inference.

In inference mode a normalisation multiplies each channel by one number and adds another. The factor
goes into the kernel of the convolution before it; what is left is a bias, which TensorFlow computes
in one go with the convolution and its activation. Jacob et al., "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, section 3.2
(https://arxiv.org/abs/1712.05877).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


def fold_batch_normalization(model: keras.Model) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Return ``model(batch, training=False)`` as a function to be compiled, flat outputs.

    The model is not changed. The function holds the weights as they are now, and its values are the
    model's but for rounding (float32: about 1e-5 of the largest value).

    Args:
        model: flat, channels last; layers other than a convolution with its own normalisation
            behind it are called as they are.
    """
    replaced: dict[int, Any] = {}  # folded weights by the id of the variable
    for convolution, norm in _pairs(model):
        for variable, value in _fold(convolution, norm):
            # Small ones are constants of the graph, so that TensorFlow drops a factor of one.
            replaced[id(variable)] = value if value.ndim == 1 else tf.constant(value)

    def current(variable: keras.Variable) -> tf.Tensor:
        value = replaced.get(id(variable), variable.value)
        return tf.constant(value) if isinstance(value, np.ndarray) else tf.identity(value)

    def call(batch: tf.Tensor) -> list[tf.Tensor]:
        outputs, _ = model.stateless_call(
            [current(variable) for variable in model.trainable_variables],
            [current(variable) for variable in model.non_trainable_variables],
            batch,
            training=False,
        )
        return tf.nest.flatten(outputs)

    return call


def _pairs(
    model: keras.Model,
) -> Iterator[tuple[keras.layers.Layer, keras.layers.BatchNormalization]]:
    """Yield each convolution whose only consumer is a BatchNormalization, with that."""
    users: dict[int, list[Any]] = {id(tensor): [None] for tensor in model.outputs}
    for operation in model.operations:
        for tensor in keras.tree.flatten(operation.input):
            users.setdefault(id(tensor), []).append(operation)
    for layer in model.layers:
        if isinstance(layer, _CONVOLUTIONS) and layer.activation is keras.activations.linear:
            following = users[id(layer.output)]
            if len(following) == 1 and isinstance(following[0], keras.layers.BatchNormalization):
                yield layer, following[0]


def _fold(
    convolution: keras.layers.Layer, norm: keras.layers.BatchNormalization
) -> Iterator[tuple[keras.Variable, npt.NDArray[np.float32]]]:
    """Yield the variables of both layers with the values that leave a bias of the normalisation."""
    mean, variance = _values(norm.moving_mean), _values(norm.moving_variance)
    factor = (_values(norm.gamma) if norm.scale else 1) / np.sqrt(variance + norm.epsilon)
    bias = (_values(norm.beta) if norm.center else 0) - mean * factor
    separable = isinstance(convolution, keras.layers.SeparableConv2D)
    kernel = convolution.pointwise_kernel if separable else convolution.kernel
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    per_channel = factor.reshape(kernel.shape[2:]) if depthwise else factor
    yield kernel, (_values(kernel) * per_channel).astype(np.float32)
    zeros, ones = np.zeros(len(mean), np.float32), np.ones(len(mean), np.float32)
    if convolution.use_bias:
        bias = bias + _values(convolution.bias) * factor
        yield convolution.bias, zeros
    yield norm.moving_mean, (-bias).astype(np.float32)
    yield norm.moving_variance, ones - np.float32(norm.epsilon)
    if norm.scale:
        yield norm.gamma, ones
    if norm.center:
        yield norm.beta, zeros


def _values(variable: keras.Variable) -> npt.NDArray[np.float64]:
    return np.asarray(variable.numpy(), np.float64)
