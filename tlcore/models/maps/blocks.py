"""Which block each layer of a network belongs to: the layers of one block stand together.

Most networks of Keras name their blocks in their layers' names, each family in its own way, which
is the table below. InceptionV3 names only where its modules end. A layer that Keras itself has
named ("add_3") belongs to the block it stands in.
"""

from __future__ import annotations

import re

from tlcore.models.layers import Graph
from tlcore.models.maps.wiring import Wiring

# A layer's name → its block: the part in brackets, or what stands beside. The first that fits.
_NAMES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), block)
    for pattern, block in (
        (r"^input", "input"),
        (r"^(?:pooling|dense_\d+|logits|probabilities)$", "head"),  # of a run
        (r"^(?:avg_pool|flatten|fc\d|predictions|conv_preds|global_\w+)$", "top"),  # of ImageNet
        (r"^top_", "top"),  # EfficientNet
        (r"^conv_(?:dw|pw|pad)_(\d+)", r"conv_\1"),  # MobileNet: both halves and their padding
        (r"^(?:Conv_1|out_relu)", "Conv_1"),  # MobileNetV2 …
        (r"^(?:bn_)?Conv1", "Conv1"),
        (r"^(expanded_conv|block_\d+)_", r"\1"),
        (r"(stage_\d+_block_\d+|downsampling_block_\d+)", r"\1"),  # ConvNeXt
        (r"(?:^|_)(?:pre)?stem(?:_|$)", "stem"),  # ConvNeXt, EfficientNet
        (r"^(block\d+[a-z]?)_", r"\1"),  # EfficientNet, VGG, Xception
        (r"^(conv\d+_block\d+)_", r"\1"),  # ResNet, DenseNet
        (r"^((?:conv|pool)\d+)(?:_|$)", r"\1"),
        (r"^(?:(?:post_)?(?:bn|relu)|layer_normalization(?:_\d+)?)$", "end"),
    )
)
_MODULE = re.compile(r"^mixed\d+$")  # InceptionV3: the tensor in which a module ends


def blocks(graph: Graph, wiring: Wiring) -> dict[str, str]:
    """Return the block of each layer of an opened network."""
    modules = _modules(graph, wiring)
    named = {name: modules.get(wiring.place[name], "") or _named(name) for name in graph.outputs}
    dense = {block for block in named.values() if _last(named, f"{block}_concat")}
    found: dict[str, str] = {}
    block = ""
    for name, own in named.items():
        if own in dense:  # of DenseNet's 58 small blocks each dense block is one
            own = own.partition("_")[0]
        block = own or ("" if block == "input" else block)
        found[name] = block or _first(named, name)
    return found


def _named(path: str) -> str:
    """Return the block that a layer's name speaks of, or the nested model's that it is in, or ""
    where Keras itself has named it."""
    outer, _, name = path.rpartition("/")
    for pattern, block in _NAMES:
        if match := pattern.search(name):
            return match.expand(block)
    return (_named(outer) or outer.rpartition("/")[2]) if outer else ""


def _first(named: dict[str, str], name: str) -> str:
    """Return the block that begins with a layer which stands before all blocks."""
    behind = list(named.values())[list(named).index(name) :]
    block = next((block for block in behind if block), "")
    return "stem" if not block or _MODULE.match(block) else block


def _last(named: dict[str, str], end: str) -> bool:
    return any(name.rpartition("/")[2] == end for name in named)


def _modules(graph: Graph, wiring: Wiring) -> dict[int, str]:
    """Return the module of each place that lies in one: behind the fork, up to the join."""
    found: dict[int, str] = {}
    for path in graph.outputs:
        name = path.rpartition("/")[2]
        if _MODULE.match(name):
            end = wiring.place[path]
            ways = [set(wiring.below(parent)) for parent in wiring.parents[end]]
            fork = max(set.intersection(*ways))
            found |= {place: name for place in wiring.below(end) if place > fork}
    return found
