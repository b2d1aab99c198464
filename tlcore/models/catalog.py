"""The backbones of keras.applications that this product uses, one row each.

Constructor names, default and smallest sizes, preprocessing modes, file names and hashes are facts
of keras.applications; tests/models hold every row against the installed Keras.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tlcore.errors import BadConfig, UnknownName

MODES: Mapping[str, str] = MappingProxyType(
    {
        "tf": "pixels scaled from 0…255 to −1…1",
        "caffe": "RGB turned to BGR, the ImageNet mean colour subtracted",
        "torch": "pixels scaled to 0…1, then the ImageNet mean and deviation of each colour",
        "inside": "none: the model's first layers scale 0…255 themselves",
    }
)

RESCALING = "rescaling_1"  # Keras' name of the layer that has a backbone's imagenet_scale
RANDOM = "random weights: not trained on anything"  # the note of such a model
# Of ImageNet's images: mean and deviation of red, green and blue in 0…1; means of blue, green and
# red in 0…255.
TORCH_CHANNELS = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
CAFFE_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class WeightFiles:
    """The two files Keras caches for a backbone, and what their bytes must hash to."""

    top: str  # file name; {rows} where Keras has one file for each resolution
    no_top: str
    address: str  # folder below TLCORE_WEIGHTS_URL that holds both
    top_hash: str = ""  # md5 or sha256, hex; "" where Keras checks none
    no_top_hash: str = ""
    rows: tuple[int, ...] = ()  # the resolutions with a file of their own, in pixels


@dataclass(frozen=True)
class Backbone:
    """One row of the catalog."""

    name: str
    module: str  # of keras.applications; holds its preprocess_input
    mode: str  # a key of MODES
    million: float  # parameters without the top, in millions
    layers: tuple[str, ...]  # ends of the stages, first to last: feature layers
    blocks: tuple[str, ...]  # first layers behind a boundary that the model can be cut at
    unfreeze_from: str  # first layer that a fine-tuning run trains by default
    files: WeightFiles
    size: int = 224  # default side of the square input, pixels
    smallest: int = 32  # smallest side without the top, pixels
    alpha: float | None = None  # width, where the constructor takes one
    any_size_with_top: bool = True  # False: a Flatten ties the top to the default size
    pooled_top: bool = True  # the top is average pooling and one dense layer on the features
    # Factors of the normalized channels, in a layer that Keras adds for ImageNet's weights only.
    imagenet_scale: tuple[float, ...] = ()

    @property
    def constructor(self) -> str:
        """The name of its function in keras.applications."""
        return self.name.partition("-")[0]

    def check_size(self, size: int, *, top: bool) -> int:
        """Return ``size`` if this backbone can be built for it.

        Raises:
            BadConfig: below the smallest size, or not the default where the top is tied to it.
        """
        if top and not self.any_size_with_top and size != self.size:
            raise BadConfig(
                f"Expected {self.size} px for {self.name} with its top, whose dense layers are "
                f"tied to that size. Received {size} px. Use {self.size}, or leave the top off."
            )
        if not self.smallest <= size <= LARGEST:
            raise BadConfig(
                f"Expected a size from {self.smallest} to {LARGEST} px for {self.name}. "
                f"Received {size} px."
            )
        return size


LARGEST = 1024  # px; beyond it one image's activations fill gigabytes
_KERAS = "tensorflow/keras-applications"


def _mobilenet(alpha: float, text: str, million: float) -> Backbone:
    stem = f"mobilenet_{text}_{{rows}}_tf"
    return Backbone(
        name="MobileNet" if alpha == 1.0 else f"MobileNet-{alpha:g}",
        module="mobilenet", mode="tf", million=million, alpha=alpha,
        layers=("conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu",
                "conv_pw_13_relu"),
        blocks=("conv_dw_2", "conv_dw_4", "conv_dw_6", "conv_dw_12"),
        unfreeze_from="conv_dw_12",
        files=WeightFiles(f"{stem}.h5", f"{stem}_no_top.h5", f"{_KERAS}/mobilenet",
                          rows=(128, 160, 192, 224)),
    )  # fmt: skip


def _mobilenet_v2(alpha: float, million: float) -> Backbone:
    stem = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{{rows}}"
    return Backbone(
        name="MobileNetV2" if alpha == 1.0 else f"MobileNetV2-{alpha:g}",
        module="mobilenet_v2", mode="tf", million=million, alpha=alpha,
        layers=("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_9_add",
                "block_12_add", "block_15_add", "out_relu"),
        blocks=("block_1_expand", "block_3_expand", "block_6_expand", "block_10_expand",
                "block_13_expand", "block_16_expand"),
        unfreeze_from="block_11_expand",
        files=WeightFiles(f"{stem}.h5", f"{stem}_no_top.h5", f"{_KERAS}/mobilenet_v2",
                          rows=(96, 128, 160, 192, 224)),
    )  # fmt: skip


def _kernels(name: str, address: str, top_hash: str, no_top_hash: str) -> WeightFiles:
    stem = f"{name}_weights_tf_dim_ordering_tf_kernels"
    folder = f"{_KERAS}/{address}"
    return WeightFiles(f"{stem}.h5", f"{stem}_notop.h5", folder, top_hash, no_top_hash)


def _vgg(name: str, million: float, top_hash: str, no_top_hash: str) -> Backbone:
    module = name.lower()
    return Backbone(
        name=name, module=module, mode="caffe", million=million, any_size_with_top=False,
        pooled_top=False,
        layers=("block1_pool", "block2_pool", "block3_pool", "block4_pool", "block5_pool"),
        blocks=("block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1"),
        unfreeze_from="block5_conv1",
        files=_kernels(module, module, top_hash, no_top_hash),
    )  # fmt: skip


_ROWS = (
    _mobilenet_v2(1.0, 2.258),
    _mobilenet_v2(0.75, 1.382),
    _mobilenet_v2(0.5, 0.706),
    _mobilenet_v2(0.35, 0.410),
    _mobilenet_v2(1.3, 3.766),
    _mobilenet_v2(1.4, 4.364),
    _mobilenet(1.0, "1_0", 3.229),
    _mobilenet(0.75, "7_5", 1.833),
    _mobilenet(0.5, "5_0", 0.829),
    _mobilenet(0.25, "2_5", 0.219),
    Backbone(
        name="ResNet50", module="resnet50", mode="caffe", million=23.588,
        layers=("conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out",
                "conv5_block3_out"),
        blocks=("conv2_block1_1_conv", "conv3_block1_1_conv", "conv4_block1_1_conv",
                "conv5_block1_1_conv"),
        unfreeze_from="conv5_block1_1_conv",
        files=_kernels("resnet50", "resnet", "2cb95161c43110f7111970584f804107",
                       "4d473c1dd8becc155b73f8504c6f6626"),
    ),
    Backbone(
        name="ResNet50V2", module="resnet_v2", mode="tf", million=23.565,
        layers=("pool1_pool", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out",
                "post_relu"),
        blocks=("conv2_block1_preact_bn", "conv3_block1_preact_bn", "conv4_block1_preact_bn",
                "conv5_block1_preact_bn"),
        unfreeze_from="conv5_block1_preact_bn",
        files=_kernels("resnet50v2", "resnet", "3ef43a0b657b3be2300d5770ece849e0",
                       "fac2f116257151a9d068a22e544a4917"),
    ),
    Backbone(
        name="Xception", module="xception", mode="tf", size=299, smallest=71, million=20.861,
        layers=("block1_conv2_act", "add", "add_1", "add_2", "add_6", "add_10", "add_11",
                "block14_sepconv2_act"),
        blocks=("block2_sepconv1", "block3_sepconv1", "block4_sepconv1", "block5_sepconv1",
                "block9_sepconv1", "block13_sepconv1", "block14_sepconv1"),
        unfreeze_from="block14_sepconv1",
        files=_kernels("xception", "xception", "0a58e3b7378bc2990ea3b43d5981f1f6",
                       "b0042744bf5b25fce3cb969f33bebb97"),
    ),
    Backbone(
        name="EfficientNetV2B0", module="efficientnet_v2", mode="inside", million=5.919,
        layers=("block1a_project_activation", "block2b_add", "block3b_add", "block4c_add",
                "block5e_add", "block6h_add", "top_activation"),
        blocks=("block2a_expand_conv", "block3a_expand_conv", "block4a_expand_conv",
                "block5a_expand_conv", "block6a_expand_conv", "block6e_expand_conv", "top_conv"),
        unfreeze_from="block6e_expand_conv",
        files=WeightFiles(
            "efficientnetv2-b0.h5", "efficientnetv2-b0_notop.h5", f"{_KERAS}/efficientnet_v2",
            "21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff",
        ),
    ),
    Backbone(
        name="EfficientNetB0", module="efficientnet", mode="inside", million=4.050,
        layers=("block1a_project_bn", "block2b_add", "block3b_add", "block4c_add", "block5c_add",
                "block6d_add", "top_activation"),
        blocks=("block2a_expand_conv", "block3a_expand_conv", "block4a_expand_conv",
                "block5a_expand_conv", "block6a_expand_conv", "block6b_expand_conv",
                "block7a_expand_conv"),
        unfreeze_from="block6b_expand_conv",
        files=WeightFiles("efficientnetb0.h5", "efficientnetb0_notop.h5", "keras-applications",
                          "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
        # These weights were trained on (input - mean) / variance, and Keras' layer divides by the
        # root of that: https://github.com/tensorflow/tensorflow/issues/49930
        imagenet_scale=tuple(1 / math.sqrt(deviation) for deviation in (0.229, 0.224, 0.225)),
    ),
    Backbone(
        name="DenseNet121", module="densenet", mode="torch", million=7.038,
        layers=("conv1_relu", "pool2_relu", "pool3_relu", "pool4_relu", "relu"),
        blocks=("conv2_block1_0_bn", "conv3_block1_0_bn", "conv4_block1_0_bn",
                "conv5_block1_0_bn"),
        unfreeze_from="conv5_block1_0_bn",
        files=_kernels("densenet121", "densenet", "9d60b8095a5708f2dcce2bca79d332c7",
                       "30ee3e1110167f948a6b9946edeeb738"),
    ),
    _vgg("VGG16", 14.715, "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
    _vgg("VGG19", 20.024, "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
    Backbone(
        name="InceptionV3", module="inception_v3", mode="tf", size=299, smallest=75, million=21.803,
        layers=("activation_2", "activation_4", "mixed2", "mixed7", "mixed9", "mixed10"),
        blocks=("conv2d_3", "conv2d_8", "conv2d_27", "conv2d_72", "conv2d_80", "conv2d_89"),
        unfreeze_from="conv2d_80",
        files=_kernels("inception_v3", "inception_v3", "9a0d58056eeedaa3f26cb7ebd46da564",
                       "bcbd6486424b2319ff4ef7d526e38f63"),
    ),
    Backbone(
        name="ConvNeXtTiny", module="convnext", mode="inside", million=27.820, pooled_top=False,
        layers=("convnext_tiny_stem_layernorm", "convnext_tiny_downsampling_conv_0",
                "convnext_tiny_downsampling_conv_1", "convnext_tiny_downsampling_conv_2",
                "layer_normalization"),
        blocks=("convnext_tiny_stage_0_block_0_depthwise_conv",
                "convnext_tiny_stage_1_block_0_depthwise_conv",
                "convnext_tiny_stage_2_block_0_depthwise_conv",
                "convnext_tiny_stage_3_block_0_depthwise_conv"),
        unfreeze_from="convnext_tiny_stage_3_block_0_depthwise_conv",
        files=WeightFiles(
            "convnext_tiny.h5", "convnext_tiny_notop.h5", f"{_KERAS}/convnext",
            "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
    ),
)  # fmt: skip

BACKBONES: Mapping[str, Backbone] = MappingProxyType({row.name: row for row in _ROWS})
DEFAULT = "MobileNetV2"


def output_units(classes: int, output: str = "sigmoid") -> int:
    """Return the units of a head's last dense layer: one for two classes with a sigmoid."""
    return 1 if classes == 2 and output == "sigmoid" else classes


def get_backbone(name: str) -> Backbone:
    """Return the row of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in BACKBONES:
        raise UnknownName.of("backbone", name, BACKBONES)
    return BACKBONES[name]


def preprocess(pixels: npt.NDArray[np.uint8], name: str) -> npt.NDArray[np.float32]:
    """Apply a backbone's own preprocessing to uint8 (…, height, width, 3) RGB pixels.

    The values are those of its ``preprocess_input`` in Keras, to the bit, without importing it.
    """
    mode, values = get_backbone(name).mode, pixels.astype(np.float32)
    if mode == "tf":
        values /= 127.5
        values -= 1.0
    elif mode == "torch":
        values /= 255.0
        for channel, (mean, deviation) in enumerate(TORCH_CHANNELS):
            values[..., channel] -= mean
            values[..., channel] /= deviation
    elif mode == "caffe":
        values = values[..., ::-1]
        for channel, mean in enumerate(CAFFE_MEANS):
            values[..., channel] -= mean
    return values
