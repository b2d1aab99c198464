"""A set with one of each fault among 300 clean images, made by code."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.datasets.files import encoded, scene

CLEAN = 300
SIZE = (160, 120)
CLASSES = ("ants", "bees", "flies")


def clean() -> dict[str, bytes]:
    """Soft random colours, a class each a little redder, greener or bluer."""
    files = {}
    for number in range(CLEAN):
        label = CLASSES[number % 3]
        part = "val" if number % 5 == 0 else "train"
        files[f"{part}/{label}/{number:03}.jpg"] = image(number, number % 3)
    return files


def image(seed: int, channel: int = 0) -> bytes:
    return encoded(tinted(seed, channel), "JPEG", quality=85)


def tinted(seed: int, channel: int = 0) -> Image.Image:
    pixels = np.asarray(scene(seed, *SIZE)).astype(np.int16)
    pixels[:, :, channel] += 40
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def faults() -> dict[str, tuple[str, dict[str, bytes]]]:
    """What the doctor should call it, and the planted files: fault → (kind, files)."""
    first = scene(1000, *SIZE)
    whole = encoded(first, "JPEG")
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = first.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(SIZE))
    deep = Image.fromarray(np.asarray(scene(1004, *SIZE).convert("L")).astype("u2") * 257)
    frames = [scene(seed, *SIZE).convert("P") for seed in (1005, 1006)]
    odd = scene(1007, *SIZE)
    half = tinted(0, 0).resize((96, 72), Image.Resampling.LANCZOS)
    return {
        "no image": ("unreadable", {"train/ants/notes.jpg": b"these are words"}),
        "truncated": ("truncated", {"train/ants/cut.jpg": whole[: len(whole) // 2]}),
        "wrong ending": ("wrong-ending", {"train/ants/really.png": encoded(odd, "JPEG")}),
        "animated": (
            "animated",
            {"train/bees/moves.gif": encoded(frames[0], "GIF", save_all=True,
                                             append_images=frames[1:])},
        ),
        "rotated": (
            "rotated", {"train/bees/lying.jpg": encoded(scene(1001, *SIZE), "JPEG", exif=turned)},
        ),
        "alpha": ("alpha", {"train/bees/glass.png": encoded(clear, "PNG")}),
        "cmyk": (
            "cmyk", {"train/bees/print.jpg": encoded(scene(1002, *SIZE).convert("CMYK"), "JPEG")},
        ),
        "deep": ("deep", {"train/flies/deep.png": encoded(deep, "PNG")}),
        "tiny": ("tiny", {"train/flies/tiny.png": encoded(scene(1003, 40, 30), "PNG")}),
        "long": ("elongated", {"train/flies/long.jpg": encoded(scene(1008, 600, 90), "JPEG")}),
        "blurred": ("blurred", {"train/ants/soft.jpg": encoded(scene(1009, 320, 240), "JPEG")}),
        "dark": ("dark", {"train/bees/night.png": encoded(levels(1010, 0.2, 0), "PNG")}),
        "white": ("overexposed", {"train/flies/snow.png": encoded(levels(1011, 0.2, 190), "PNG")}),
        "placeholder": ("uniform", {"train/flies/none.png": encoded(placeholder(), "PNG")}),
        "copy": ("duplicate", {"train/bees/copy.jpg": image(1, 1)}),
        "near copy": ("near-duplicate", {"train/ants/near.jpg": encoded(
            tinted(3, 0).resize((96, 72), Image.Resampling.LANCZOS), "JPEG", quality=60)}),
        "two labels": ("two-labels", {"train/bees/ant.jpg": image(6, 0)}),
        "in two parts": ("leak", {"train/ants/leaked.jpg": encoded(half, "JPEG", quality=70)}),
    }  # fmt: skip


def nearly_grey() -> Image.Image:
    """Two greys: of neither there are nine tenths."""
    image = Image.new("RGB", (100, 100), (100, 100, 100))
    image.paste((111, 111, 111), (0, 0, 100, 20))
    return image


def levels(seed: int, factor: float, least: int) -> Image.Image:
    return scene(seed, *SIZE).point(lambda level: least + level * factor)


def placeholder() -> Image.Image:
    """A light ground with a few dark strokes, as servers send for what is gone."""
    image = Image.new("RGB", (200, 200), (246, 246, 246))
    image.paste((40, 40, 40), (60, 90, 140, 96))
    image.paste((120, 120, 120), (70, 104, 130, 107))
    return image


def planted() -> dict[str, bytes]:
    files = clean()
    for _, more in faults().values():
        files |= more
    return files
