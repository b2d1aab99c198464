"""Every mode against arithmetic done by hand on one row of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.datasets.files import deep, encoded, png_chunk
from tlcore.datasets.image_io import decode_image, decode_image_with_header
from tlcore.settings import Limits


def pixels(data: bytes) -> list[list[int]]:
    """The first row, decoded."""
    image = decode_image(data, "a", Limits())
    assert image.mode == "RGB"
    row: list[list[int]] = np.asarray(image)[0].tolist()
    return row


def greys(*values: int) -> list[list[int]]:
    return [[value] * 3 for value in values]


def test_grey() -> None:
    assert pixels(encoded(Image.fromarray(np.array([[0, 90, 255]], np.uint8)))) == greys(0, 90, 255)


def test_one_bit() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert pixels(encoded(image)) == greys(0, 255)


def test_alpha_is_laid_on_white() -> None:
    row = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    # 51/255 is a fifth: black over white leaves 204.
    assert pixels(encoded(Image.fromarray(row))) == [[200, 0, 0], [255, 255, 255], [204] * 3]


def test_grey_with_alpha() -> None:
    row = np.array([[[100, 255], [100, 0], [0, 51]]], np.uint8)
    assert pixels(encoded(Image.fromarray(row))) == greys(100, 255, 204)


def palette() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    for x in range(3):
        image.putpixel((x, 0), x)
    return image


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette(form: str) -> None:
    assert pixels(encoded(palette(), form)) == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {"transparency": 1}),
        ("GIF", {"transparency": 1}),
        ("PNG", {"transparency": bytes([255, 0, 255])}),
    ],
)
def test_a_see_through_palette_entry_is_white(form: str, options: dict[str, Any]) -> None:
    assert pixels(encoded(palette(), form, **options))[1] == [255, 255, 255]


def test_a_see_through_colour_is_white() -> None:
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert pixels(encoded(image, transparency=(4, 5, 6))) == [[1, 2, 3], [255, 255, 255]]


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])  # JPEG: inverted, as Adobe writes it
def test_cmyk(form: str) -> None:
    for ink, colour in (((0, 255, 255, 0), [255, 0, 0]), ((0, 0, 0, 255), [0, 0, 0])):
        found = pixels(encoded(Image.new("CMYK", (8, 8), ink), form))[0]
        assert np.abs(np.subtract(found, colour)).max() <= 2


def test_ycbcr_jpeg_keeps_its_colour() -> None:
    found = pixels(encoded(Image.new("RGB", (8, 8), (200, 40, 60)), "JPEG", quality=95))[0]
    assert np.abs(np.subtract(found, [200, 40, 60])).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bits_are_scaled_not_clipped(form: str, order: str) -> None:
    row = np.array([[0, 257, 128, 129, 32768, 65535]], np.uint16)
    # value / 257, rounded: 128/257 is just below a half, 129/257 just above.
    data = encoded(Image.fromarray(row.astype(order)), form)
    assert pixels(data) == greys(0, 1, 0, 1, 128, 255)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("highest", [255, 1000, 1023, 1024, 4095, 5000, 16383, 16384, 65535])
def test_sixteen_bits_are_scaled_by_the_depth_in_use(form: str, colours: int, highest: int) -> None:
    values = np.linspace(0, highest, 12 * colours).round().astype(np.uint16).reshape(3, 4, colours)
    depth = next(bits for bits in (8, 10, 12, 14, 16) if highest < 2**bits)
    data = deep(values[..., 0] if colours == 1 else values, form)
    image, header = decode_image_with_header(data, "a", Limits())
    expected = np.rint(values / (2**depth - 1) * 255) * np.ones(3)
    assert np.abs(np.asarray(image) - expected).max() <= 1
    assert header.depth == depth


@pytest.mark.parametrize(
    ("data", "depth"),
    [
        (deep(np.array([[0, 900]]), "TIFF", tiffinfo={281: 4095}), 12),
        (deep(np.array([[0, 900]]), "TIFF", tiffinfo={281: 65535}), 16),
    ],
)
def test_a_declared_depth_comes_before_the_values(data: bytes, depth: int) -> None:
    assert decode_image_with_header(data, "a", Limits())[1].depth == depth
    assert pixels(data)[1] == [round(900 / (2**depth - 1) * 255)] * 3


def test_the_depth_of_a_png_is_in_its_sbit_chunk() -> None:
    data = deep(np.array([[0, 900]]), "PNG")
    at = data.index(b"IDAT") - 4
    data = data[:at] + png_chunk(b"sBIT", bytes([12])) + data[at:]
    assert pixels(data)[1] == [round(900 / 4095 * 255)] * 3


def test_a_see_through_sixteen_bit_grey_is_white() -> None:
    image = Image.fromarray(np.array([[0, 1000]], np.uint16))
    assert pixels(encoded(image, transparency=1000)) == greys(0, 255)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0, 100, 255], (0, 100, 255)),  # already 8 bits
        ([0, 32768, 65535], (0, 128, 255)),  # 16 bits
        ([0, 600_000, 1_000_000], (0, 153, 255)),  # no usual range: its own span
        ([-100, 20, 100], (0, 153, 255)),
        ([7, 7, 7], (7, 7, 7)),
        ([-5, -5, -5], (0, 0, 0)),
    ],
)
def test_thirty_two_bit_integers(row: list[int], expected: tuple[int, ...]) -> None:
    data = encoded(Image.fromarray(np.array([row], np.int32)), "TIFF")
    assert pixels(data) == greys(*expected)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0, 0.6, 1], (0, 153, 255)),
        ([0, 100, 255], (0, 100, 255)),
        ([0, 32768, 65535], (0, 128, 255)),
        ([-1, 0.2, 1], (0, 153, 255)),
        ([0, float("nan"), 1], (0, 0, 255)),
        ([-3.4e38, 6.8e37, 3.4e38], (0, 153, 255)),
    ],
)
def test_floats(row: list[float], expected: tuple[int, ...]) -> None:
    data = encoded(Image.fromarray(np.array([row], np.float32)), "TIFF")
    assert pixels(data) == greys(*expected)


def turned(orientation: int, form: str) -> bytes:
    """An image that looks upright as 2 × 3, stored as a camera held in this way stores it."""
    upright = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(3, 2) * 40)
    turn = Image.Transpose
    back = {
        1: None,
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_90,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_270,
    }[orientation]
    stored = upright.transpose(back) if back is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
    if form == "HEIF":  # pillow-heif turns by the bytes alone
        return encoded(stored.convert("RGB"), form, exif=exif.tobytes(), quality=95)
    return encoded(stored.convert("RGB"), form, exif=exif, **options)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int, form: str) -> None:
    image = decode_image(turned(orientation, form), "a", Limits())
    found = np.asarray(image)[..., 0].astype(int)
    assert found.shape == (3, 2)
    lossy = {"JPEG": 3, "HEIF": 12, "AVIF": 12}.get(form, 0)
    assert np.abs(found - np.arange(6).reshape(3, 2) * 40).max() <= lossy


def test_damaged_exif_does_not_cost_the_image() -> None:
    data = encoded(Image.new("RGB", (5, 4)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    assert decode_image(data, "a", Limits()).size == (5, 4)
