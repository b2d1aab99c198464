"""A frozen network in inference mode with its BatchNormalization folded into the convolutions.

There a normalisation multiplies each channel by one number and adds another. The factor can stand
in the kernel of the convolution before it, and what is left is a bias, which TensorFlow computes
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
_Values = dict[int, npt.NDArray[np.float32]]  # by the id of the variable


def folded(model: keras.Model) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Return ``model(batch, training=False)`` as a function to be compiled, flat outputs.

    The model stays as it is. The function holds the weights of the moment at which it is made, and
    its values are the model's but for rounding (float32: about 1e-5 of the largest value).

    Args:
        model: flat, channels last; what is no convolution with its own normalisation behind it is
            called as it is.
    """
    kernels: _Values = {}
    others: _Values = {}  # small: constants of the graph, that a factor of one be left out of it
    for convolution, norm in _pairs(model):
        _fold(convolution, norm, kernels, others)
    held = {name: tf.constant(value) for name, value in kernels.items()}

    def value(variable: keras.Variable) -> tf.Tensor:
        if id(variable) in others:
            return tf.constant(others[id(variable)])
        return tf.identity(held.get(id(variable), variable.value))

    def call(batch: tf.Tensor) -> list[tf.Tensor]:
        outputs, _ = model.stateless_call(
            [value(variable) for variable in model.trainable_variables],
            [value(variable) for variable in model.non_trainable_variables],
            batch,
            training=False,
        )
        return tf.nest.flatten(outputs)

    return call


def _pairs(
    model: keras.Model,
) -> Iterator[tuple[keras.layers.Layer, keras.layers.BatchNormalization]]:
    """Yield each convolution whose output goes nowhere but into a normalisation, with that."""
    users: dict[int, list[Any]] = {id(tensor): [None] for tensor in model.outputs}
    for operation in model.operations:
        for tensor in keras.tree.flatten(operation.input):
            users.setdefault(id(tensor), []).append(operation)
    for layer in model.layers:
        if isinstance(layer, _CONVOLUTIONS) and layer.activation is keras.activations.linear:
            behind = users[id(layer.output)]
            if len(behind) == 1 and isinstance(behind[0], keras.layers.BatchNormalization):
                yield layer, behind[0]


def _fold(
    convolution: keras.layers.Layer,
    norm: keras.layers.BatchNormalization,
    kernels: _Values,
    others: _Values,
) -> None:
    """Put the factor into the kernel and leave of the normalisation only what it adds."""
    mean, variance = _numbers(norm.moving_mean), _numbers(norm.moving_variance)
    factor = (_numbers(norm.gamma) if norm.scale else 1) / np.sqrt(variance + norm.epsilon)
    added = (_numbers(norm.beta) if norm.center else 0) - mean * factor
    separable = isinstance(convolution, keras.layers.SeparableConv2D)
    kernel = convolution.pointwise_kernel if separable else convolution.kernel
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    scaled = _numbers(kernel) * (factor.reshape(kernel.shape[2:]) if depthwise else factor)
    kernels[id(kernel)] = scaled.astype(np.float32)
    if convolution.use_bias:
        added = added + _numbers(convolution.bias) * factor
        others[id(convolution.bias)] = np.zeros(len(mean), np.float32)
    others[id(norm.moving_mean)] = (-added).astype(np.float32)
    others[id(norm.moving_variance)] = np.full(
        len(mean), np.float32(1) - np.float32(norm.epsilon), np.float32
    )
    if norm.scale:
        others[id(norm.gamma)] = np.ones(len(mean), np.float32)
    if norm.center:
        others[id(norm.beta)] = np.zeros(len(mean), np.float32)


def _numbers(variable: keras.Variable) -> npt.NDArray[np.float64]:
    return np.asarray(variable.numpy(), np.float64)
