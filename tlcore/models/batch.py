"""Many pictures through networks: decoded in threads, answered in batches of few fixed sizes.

One trace serves them all, and at most three batches of pixels are held at a time, so memory does
not grow with the number of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tlcore.datasets.decode import read
from tlcore.datasets.geometry import fit
from tlcore.errors import BadImage
from tlcore.models.answers import Floats
from tlcore.models.network import Network, preprocess
from tlcore.models.probabilities import two_sided
from tlcore.settings import Limits

BATCH = 32  # pictures a forward pass …
STEP = 8  # … the last one is filled up to a multiple of this: four shapes in all
DECODERS = 2  # threads; Pillow lets go of Python's lock while it decodes and resizes

Inputs = tuple[Floats, ...]  # one for each network, (size, size, 3) in its own range
Answers = tuple[Floats, ...]  # one for each network, logits float32 (classes,)


def predict_many(
    networks: Sequence[Network], paths: Sequence[Path], limits: Limits
) -> Iterator[Answers | BadImage]:
    """Yield each picture's logits by every network, or why it cannot be read, in order.

    A sigmoid unit z comes as (0, z), the softmax of which is the same. Each file is decoded once,
    however many networks look at it.
    """
    starts = range(0, len(paths), BATCH)
    with ThreadPoolExecutor(DECODERS) as pool:

        def submit(start: int) -> list[Future[Inputs | BadImage]]:
            part = paths[start : start + BATCH]
            return [pool.submit(_inputs, path, networks, limits) for path in part]

        following = submit(0)
        for start in starts:
            current, following = following, submit(start + BATCH)
            yield from _answers(networks, [future.result() for future in current])


def _inputs(path: Path, networks: Sequence[Network], limits: Limits) -> Inputs | BadImage:
    try:
        image = read(path, limits)
    except BadImage as fault:
        return fault
    return tuple(
        preprocess(fit(image, network.size, network.fit), network.backbone) for network in networks
    )


def _answers(
    networks: Sequence[Network], decoded: Sequence[Inputs | BadImage]
) -> Iterator[Answers | BadImage]:
    good = [inputs for inputs in decoded if not isinstance(inputs, BadImage)]
    by_network = [
        _logits(network, [inputs[place] for inputs in good])
        for place, network in enumerate(networks)
    ]
    rows = zip(*by_network, strict=True)
    for inputs in decoded:
        yield inputs if isinstance(inputs, BadImage) else next(rows)


def _logits(network: Network, inputs: Sequence[Floats]) -> Floats:
    """Return (n, classes) for n at most BATCH inputs."""
    rows = max(1, -(-len(inputs) // STEP)) * STEP  # never none: oneDNN fails on an empty batch
    batch = np.zeros((rows, network.size, network.size, 3), np.float32)
    for place, pixels in enumerate(inputs):
        batch[place] = pixels
    return two_sided(network.forward(batch).numpy()[: len(inputs)])
