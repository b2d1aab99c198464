"""Feature maps against a bare compiled pass, in one run: python -m tests.benchmarks.activations.

Prints milliseconds (the least disturbed of the rounds) and ratios for MobileNetV2 and ResNet50
(random weights where none are here): the first look at a layer and, at once behind it, the next
layer, in this process; then both through the inference process, as the page asks, with the next
layer foreseen while the person looks. At last, what 200 switches over layers, images and the two
backbones leave in memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from tlcore.activations import render as drawing
from tlcore.activations.values import ActivationRequest, DisplayOptions
from tlcore.datasets.image_io import content_id, read_image
from tlcore.errors import WeightsMissing
from tlcore.inference import tasks
from tlcore.inference.client import Inference
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings

ROUNDS = 9
LAYERS = 12  # looked at for each backbone, evenly over its depth
LOOKED = 0.2  # s that a person looks at a layer before going on: a quick one
PAGE = "draw_layer"
PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="a folder of images")
    parser.add_argument("--switches", type=int, default=200)
    args = parser.parse_args()
    settings = Settings.from_environment()
    photos = sorted(
        path for path in args.photos.iterdir() if path.suffix.lower() in (".jpeg", ".jpg")
    )
    refs = [usable(name, settings) for name in ("MobileNetV2", "ResNet50")]
    inference = Inference(settings)
    for ref in refs:
        speed(ref, photos[:ROUNDS], settings, inference)
    inference.close()
    memory(refs, photos, settings, args.switches)


def usable(name: str, settings: Settings) -> ModelRef:
    """ImageNet's weights where they are here, else random ones: as fast."""
    ref = ModelRef(name, 224, top=False)
    try:
        tasks.load_model(ref, settings)
        return ref
    except WeightsMissing:
        return ModelRef(name, 224, random=True, top=False)


def speed(ref: ModelRef, photos: list[Path], settings: Settings, inference: Inference) -> None:
    network = tasks.load_model(ref, settings)
    spatial = network.spatial_layers[1:]
    say(f"\n{ref.backbone}, {ref.size} px, {len(spatial)} spatial layers")
    say(f"{'':34}{'in this process':>42}{'as the page asks':>21}")
    say(
        f"{'layer':34}{'bare':>7}{'draw':>7}{'first':>7}{'ratio':>7}{'next':>7}{'ratio':>7}"
        f"{'first':>7}{'next':>7}{'ratio':>7}"
    )
    firsts, at_once, foreseen = [], [], []
    for name in spatial[:: max(1, len(spatial) // LAYERS)]:
        place = spatial.index(name)
        following = spatial[min(place + 1, len(spatial) - 1)]
        bare, draw, first, after = one_layer(ref, name, following, photos, settings)
        asked, then = as_the_page_asks(ref, name, following, photos, inference)
        firsts.append(first / (bare + draw))
        at_once.append(after / first)
        foreseen.append(then / asked)
        say(
            f"{name:34}{bare:7.1f}{draw:7.1f}{first:7.1f}{firsts[-1]:7.2f}{after:7.1f}"
            f"{at_once[-1]:7.2f}{asked:7.1f}{then:7.1f}{foreseen[-1]:7.2f}"
        )
    say("first look ÷ (bare pass + drawing): " + spread(firsts))
    say("next layer, at once ÷ first look: " + spread(at_once))
    say("next layer, as the page asks ÷ first look: " + spread(foreseen))


def spread(ratios: list[float]) -> str:
    return f"median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def one_layer(
    ref: ModelRef, layer: str, following: str, photos: list[Path], settings: Settings
) -> tuple[float, float, float, float]:
    """Return ms, the least of all rounds, the steps of a round one after the other: bare pass
    (decoding, preprocessing, compiled sub-model), drawing, first look, look at the next layer."""
    network = tasks.load_model(ref, settings)
    part = keras.Model(network.model.input, network.output(layer))
    signature = tf.TensorSpec((1, ref.size, ref.size, 3), tf.float32)
    compiled = tf.function(lambda batch: part(batch, training=False)).get_concrete_function(
        signature
    )
    view = DisplayOptions()
    rounds: list[list[float]] = []
    for number in range(len(photos) + 1):
        path = photos[number % len(photos)]
        sha = content_id(path.read_bytes())
        bare, maps = timed(
            lambda path=path: compiled(
                tf.constant(network.prepare([read_image(path, settings.limits)]))
            ).numpy()[0]
        )
        draw, _ = timed(
            lambda maps=maps: drawing.render_tiles(maps, drawing.select_channels(maps, view), view)
        )
        tasks.activation_cache.cache_clear()
        look = ActivationRequest(path, sha, ref)
        first, _ = timed(lambda look=look: tasks.draw_layer(look, layer, view, settings))
        after, _ = timed(lambda look=look: tasks.draw_layer(look, following, view, settings))
        if number:  # the first round compiles
            rounds.append([bare, draw, first, after])
    return tuple(min(column) for column in zip(*rounds, strict=True))


def as_the_page_asks(
    ref: ModelRef, layer: str, following: str, photos: list[Path], inference: Inference
) -> tuple[float, float]:
    """Return ms, the least of all rounds, through the inference process: first look, next layer.

    A few bytes behind a JPEG's end make it another image, of which that process knows nothing.
    """
    rounds: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate([photos[0], *photos]):
            unseen = Path(folder) / f"{number}.jpg"
            unseen.write_bytes(path.read_bytes() + f"{layer} {number}".encode())
            look = ActivationRequest(unseen, content_id(unseen.read_bytes()), ref)
            first, _ = timed(lambda look=look: inference.ask(PAGE, look, layer, DisplayOptions()))
            inference.prefetch(PAGE, look, following, DisplayOptions())
            time.sleep(LOOKED)
            after, _ = timed(
                lambda look=look: inference.ask(PAGE, look, following, DisplayOptions())
            )
            if number:  # the first round compiles
                rounds.append((first, after))
    first, after = (min(column) for column in zip(*rounds, strict=True))
    return first, after


def timed(do: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    value = do()
    return (time.perf_counter() - start) * 1000, value


def memory(refs: list[ModelRef], photos: list[Path], settings: Settings, switches: int) -> None:
    tasks.activation_cache.cache_clear()
    generator = np.random.default_rng(0)
    looks = [
        ActivationRequest(path, content_id(path.read_bytes()), ref)
        for path in photos[:20]
        for ref in refs
    ]
    sizes = []
    for number in range(3 * switches):
        look = looks[generator.integers(len(looks))]
        spatial = tasks.load_model(look.ref, settings).spatial_layers
        layer = spatial[generator.integers(len(spatial))]
        tasks.draw_layer(look, layer, DisplayOptions(), settings)
        sizes.append(resident())
        if number == 0 or (number + 1) % (switches // 2) == 0:
            kept = tasks.activation_cache(settings.activation_bytes)
            held = f"{kept.bytes / 2**20:.0f} of {kept.bound / 2**20:.0f} MB of maps kept"
            say(f"{number + 1:5} switches: {sizes[-1]:6.0f} MB resident, {held}")
    plateau = statistics.median(sizes[switches : 2 * switches])
    last = sizes[2 * switches :]
    share = max(last) / plateau - 1
    say(f"plateau {plateau:.0f} MB; the {switches} switches after: {share:+.1%} at most")


def resident() -> float:
    """Megabytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB / 1024


if __name__ == "__main__":
    main()
