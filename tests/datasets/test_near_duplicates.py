"""Near copies: what is one image made anew, and what only looks a little alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.datasets.files import encoded, scene
from tlcore.datasets.image_facts import ImageFacts, measure_image
from tlcore.datasets.image_io import Header, decode_image
from tlcore.datasets.near_duplicates import find_near_pairs, group_near_duplicates, perceptual_hash
from tlcore.datasets.sample_dataset import draw_sample
from tlcore.settings import Limits

HEADER = Header("JPEG", "RGB", False, 8, False, False)
Change = Callable[[Image.Image], Image.Image]


def facts(image: Image.Image) -> ImageFacts:
    return measure_image(image, HEADER, "0" * 64)


def near(*images: Image.Image) -> list[tuple[int, int]]:
    return find_near_pairs(*columns(images))


def columns(images: Sequence[Image.Image]) -> tuple[list[int], np.ndarray, list[float]]:
    rows = [facts(image) for image in images]
    copies = np.stack([row.pixels for row in rows])
    return [row.hash for row in rows], copies, [row.width / row.height for row in rows]


def saved(image: Image.Image, quality: int) -> Image.Image:
    return decode_image(encoded(image, "JPEG", quality=quality), "x.jpg", Limits())


ANEW: dict[str, Change] = {
    "the same": lambda image: image,
    "quality 30": lambda image: saved(image, 30),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.12),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.85),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.15),
}
OTHERS: dict[str, Change] = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "negative": lambda image: Image.fromarray(255 - np.asarray(image)),
    "in other colours": lambda image: Image.merge("RGB", image.split()[::-1]),
}


@pytest.mark.parametrize("label", ["balloon", "mushroom", "sailboat"])
def test_one_image_made_anew_is_found_and_another_is_not(label: str) -> None:
    image = decode_image(draw_sample(label, "train", 3), "x.jpg", Limits())
    for name, change in ANEW.items():
        assert near(image, change(image)) == [(0, 1)], name
    for name, change in OTHERS.items():
        assert near(image, change(image)) == [], name


def gradient(seed: int) -> Image.Image:
    low, high = np.random.default_rng(seed).integers(0, 256, (2, 1, 1, 3))
    slope = np.linspace(0, 1, 60)[:, None, None]
    return Image.fromarray((low * (1 - slope) + high * slope).repeat(80, 1).astype(np.uint8))


@pytest.mark.parametrize("make", [gradient, scene])
def test_no_false_alarm_among_smooth_images(make: Callable[[int], Image.Image]) -> None:
    assert near(*map(make, range(200))) == []
    assert near(*(Image.new("RGB", (50, 50), (grey, grey, grey)) for grey in (0, 90, 90))) == []


def test_the_fingerprint_is_that_of_the_definition() -> None:
    """Against the transform written out as two sums."""
    small = scene(5, 32, 32).convert("L")
    pixels = np.asarray(small).astype(float)
    at = np.arange(32) + 0.5
    low = np.array([
        [sum(pixels[y, x] * np.cos(np.pi / 32 * u * at[y]) * np.cos(np.pi / 32 * v * at[x])
             for y in range(32) for x in range(32)) for v in range(1, 9)]
        for u in range(1, 9)
    ])  # fmt: skip
    bits = "".join("01"[int(value > np.median(low))] for value in low.ravel())
    assert perceptual_hash(pixels.astype(np.float32)) == int(bits, 2)


def test_pairs_join_to_groups() -> None:
    first, second, other = (scene(seed, 160, 120) for seed in (1, 2, 3))
    images = [first, other, second, saved(first, 30), second.resize((80, 60)), first]
    assert group_near_duplicates(*columns(images)) == [[0, 3, 5], [2, 4]]
    assert group_near_duplicates(*columns([first, second])) == []
