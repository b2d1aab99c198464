"""Each fit against what its words promise, on images whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tlcore.datasets.geometry import FITS, MEAN_GREY, crop_box, fit
from tlcore.errors import BadConfig, UnknownName


def ramp(width: int, height: int) -> Image.Image:
    """Red counts columns from 0, green counts rows from 0."""
    rows, columns = np.mgrid[:height, :width]
    blue = np.full_like(rows, 7)
    return Image.fromarray(np.stack([columns, rows, blue], -1).astype(np.uint8))


@pytest.mark.parametrize("how", FITS)
@pytest.mark.parametrize("size", [(50, 37), (37, 50), (10, 10), (1, 1), (300, 2), (2, 300)])
@pytest.mark.parametrize("side", [1, 16, 96])
def test_the_result_is_a_square_of_bytes(how: str, size: tuple[int, int], side: int) -> None:
    pixels = fit(ramp(*size), side, how)
    assert pixels.shape == (side, side, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable


def test_each_fit_has_its_sentence() -> None:
    assert list(FITS) == ["crop", "squash", "pad"]
    assert all(way.description.endswith(".") for way in FITS.values())


def test_the_crop_keeps_seven_eighths_of_the_short_side_in_the_middle() -> None:
    assert crop_box(500, 400) == (75.0, 25.0, 425.0, 375.0)
    # 240 × 160: the box is 140 wide from column 50, 10 from the top; each new pixel covers 10,
    # so that the first holds columns 50 to 59, on average 54.5.
    pixels = fit(ramp(240, 160), 14).astype(float)
    inner = np.arange(1, 13)
    assert np.abs(pixels[5, inner, 0] - (54.5 + 10 * inner)).max() <= 0.5
    assert np.abs(pixels[inner, 5, 1] - (14.5 + 10 * inner)).max() <= 0.5


def test_the_crop_equals_resize_then_crop() -> None:
    image = ramp(256, 128).resize((512, 256), Image.Resampling.BICUBIC)
    whole = image.resize((256, 128), Image.Resampling.HAMMING)  # short side 112 / 0.875
    expected = np.asarray(whole.crop((72, 8, 184, 120))).astype(int)
    assert np.abs(fit(image, 112).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("how", FITS)
@pytest.mark.parametrize("size", [(91, 61), (61, 91), (90, 60)])
def test_the_centre_stays_in_the_centre(how: str, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, MEAN_GREY)
    width, height = size
    image.paste((255, 255, 255), (width // 2 - 4, height // 2 - 4, width // 2 + 5, height // 2 + 5))
    bright = fit(image, 45, how)[..., 0].astype(float) - MEAN_GREY[0]
    rows, columns = np.mgrid[:45, :45]
    for axis in (rows, columns):
        assert abs((axis * bright).sum() / bright.sum() - 22) <= 0.6


def test_squash_shows_everything() -> None:
    pixels = fit(ramp(200, 100), 10, "squash").astype(float)
    assert np.abs(pixels[5, :, 0] - (9.5 + 20 * np.arange(10))).max() <= 3
    assert np.abs(pixels[:, 5, 1] - (4.5 + 10 * np.arange(10))).max() <= 2


def test_pad_keeps_the_proportion_and_fills_with_mean_grey() -> None:
    pixels = fit(Image.new("RGB", (200, 100), (1, 2, 3)), 20, "pad")
    assert (pixels[5:15] == (1, 2, 3)).all()
    assert (pixels[:5] == MEAN_GREY).all() and (pixels[15:] == MEAN_GREY).all()
    tall = fit(Image.new("RGB", (100, 200), (1, 2, 3)), 20, "pad")
    assert (tall == pixels.transpose(1, 0, 2)).all()


def test_the_image_is_not_changed() -> None:
    image = ramp(30, 20)
    fit(image, 8)[:] = 0
    assert image.tobytes() == ramp(30, 20).tobytes()


def test_what_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"crop, squash, pad.*'stretch'"):
        fit(ramp(4, 4), 4, "stretch")
    with pytest.raises(BadConfig, match="at least 1 pixel"):
        fit(ramp(4, 4), 0)
