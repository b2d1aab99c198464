"""How much memory a run's process will need at most: counted, not measured.

What this process has used says nothing of another: it may have had other networks in it. Counted
is what is largest: the activations of a pass and of a step, weights and what is remembered of
them. The shares were read off runs of MobileNet, MobileNetV2 and VGG16.
"""

from __future__ import annotations

from itertools import pairwise

from tlcore.training.cache.shelf import RESIDENT
from tlcore.training.config import RunConfig
from tlcore.training.fit import evaluated_at_once
from tlcore.training.pictures import AHEAD, FORWARD
from tlcore.training.sizes import Sizes
from tlcore.training.supply import FLUSH_BYTES

BASE = 600 * 2**20  # bytes of a process with TensorFlow and nothing in it
FLOAT = 4  # bytes
PASS = 3  # times the largest activations: what goes in, what comes out, what is worked with
STEP = 2  # times all activations above the cut: themselves and their gradients
NETWORK = 4  # times the weights: as read, as used, as folded, as saved
LEARNED = 10  # times those that learn: gradient, two moments, and thrice that in checkpoints


def memory_of(config: RunConfig, sizes: Sizes, features: int, units: int, stored: int) -> int:
    """Return the bytes that a run will need at most, roughly.

    Args:
        config: its recipe.
        sizes: of its network.
        features: inputs of the head.
        units: outputs of the head.
        stored: bytes of all values it learns from, which are mapped, not read as a whole.
    """
    sides = [features, *config.hidden, units]
    head = LEARNED * sum(before * behind for before, behind in pairwise(sides))
    forward = PASS * FORWARD * sizes.largest
    step = looked = 0
    if config.fine_tune_epochs:
        step = STEP * config.batch_size * sizes.top_activations + LEARNED * sizes.top_weights
        looked = PASS * evaluated_at_once(FLOAT * sizes.cut) * sizes.top_largest
    most = max(FLOAT * forward + AHEAD + FLUSH_BYTES, FLOAT * step, FLOAT * looked)
    return BASE + FLOAT * (NETWORK * sizes.weights + head) + most + min(stored, RESIDENT)
