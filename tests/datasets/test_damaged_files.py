"""Damaged files: an image or a BadImage, nothing else, for every format and for zips."""

from __future__ import annotations

import io
from random import Random

import pytest

from tests.datasets.files import every_format, jpeg, mutated, zipped
from tlcore.datasets.archive import incoming_from_archive
from tlcore.datasets.image_io import decode_image
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Limits

LIMITS = Limits(pixels=1_000_000, file_bytes=2**20)


@pytest.mark.parametrize("name", every_format())
def test_no_other_exception_escapes_decoding(name: str) -> None:
    random, data = Random(name), every_format()[name]
    outcomes = []
    for _ in range(40):
        try:
            image = decode_image(mutated(random, data), name, LIMITS)
        except BadImage as refusal:
            outcomes.append(False)
            assert str(refusal).startswith(f"{name}: Expected")
        else:
            outcomes.append(True)
            assert image.mode == "RGB"
    assert not all(outcomes)


@pytest.mark.parametrize("compression", [0, 8])
def test_no_other_exception_escapes_a_zip(compression: int) -> None:
    files = {f"ants/{i}.jpg": jpeg(i) for i in range(3)}
    random, data = Random(compression), zipped(files, compression=compression).getvalue()
    for _ in range(60):
        try:
            for item in incoming_from_archive(io.BytesIO(mutated(random, data)), LIMITS):
                decode_image(item.read(), item.file, LIMITS)
        except (BadImage, BadDataset) as refusal:
            assert "Expected" in str(refusal)
