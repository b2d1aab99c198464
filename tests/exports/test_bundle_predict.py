"""The bundle's program reads every image as the page does, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageOps

from tests.exports.odd import odd_files
from tlcore.datasets.geometry import FITS, fit
from tlcore.datasets.image_io import read_image
from tlcore.exports import bundle_predict
from tlcore.settings import Limits


@pytest.mark.parametrize("how", FITS)
def test_the_square_is_the_pages(how: str, tmp_path: Path) -> None:
    for path in odd_files(tmp_path):
        ours = fit(read_image(path, Limits()), 37, how)
        np.testing.assert_array_equal(
            bundle_predict.FITS[how](bundle_predict.read_image(path), 37), ours, err_msg=path.name
        )


def test_an_image_that_was_read_is_not_turned_again(tmp_path: Path) -> None:
    for path in odd_files(tmp_path):
        image = read_image(path, Limits())
        np.testing.assert_array_equal(ImageOps.exif_transpose(image), image, err_msg=path.name)


def test_the_program_knows_the_same_fits_and_no_module_of_ours() -> None:
    assert list(bundle_predict.FITS) == list(FITS)
    assert "tlcore" not in Path(bundle_predict.__file__).read_text(encoding="utf-8")


def test_real_photographs_too(photos: list[Path]) -> None:
    for path in photos[::12]:
        ours = fit(read_image(path, Limits()), 224)
        np.testing.assert_array_equal(
            bundle_predict.crop(bundle_predict.read_image(path), 224), ours
        )
