"""What is accepted as an image, what is refused, and what the refusal says."""

from __future__ import annotations

import hashlib
import struct
import warnings
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from tests.datasets.files import encoded, every_format, jpeg, scene
from tlcore.datasets.image_io import ENDINGS, content_id, decode_image, read_image
from tlcore.errors import BadImage
from tlcore.settings import Limits

LIMITS = Limits()


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG whose header promises a size and whose pixels are missing."""
    chunks = b""
    for kind, body in (
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0")),
        (b"IEND", b""),
    ):
        checksum = zlib.crc32(kind + body)
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("name", every_format())
def test_every_format_is_read(name: str) -> None:
    image = decode_image(every_format()[name], name, LIMITS)
    assert (image.mode, image.size) == ("RGB", (40, 30))


def test_the_content_decides_not_the_ending() -> None:
    assert decode_image(encoded(scene(), "PNG"), "photo.jpg", LIMITS).size == (40, 30)
    assert decode_image(jpeg(), "no ending", LIMITS).size == (40, 30)


def test_the_endings_are_lower_case_without_dot() -> None:
    assert {"jpg", "jpeg", "png", "gif", "bmp", "webp", "tif", "tiff"} <= set(ENDINGS)
    assert all(ending == ending.lower().strip(".") for ending in ENDINGS)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(form: str) -> None:
    red, blue = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    lossless = {"lossless": True} if form == "WEBP" else {}
    data = encoded(red, form, save_all=True, append_images=[blue], **lossless)
    assert decode_image(data, "a", LIMITS).getpixel((1, 1)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "an empty file"),
        (b"hello, I am a text", "none of these"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "whole HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (every_format()["a.heic"][:-100], "truncated or damaged"),
        (every_format()["a.avif"][:-100], "truncated or damaged"),
        (every_format()["a.jp2"][:-400], "truncated or damaged"),
        (b"PK\x03\x04 and so on", "unpack it first"),
        (encoded(scene(), "PPM"), "none of these"),
        (b"\xff\xd8\xff", "whole JPEG"),
        (jpeg()[: len(jpeg()) // 2], "truncated or damaged"),
        (every_format()["a.png"][:-400], "truncated or damaged"),
        (every_format()["a.gif"][:-300], "truncated or damaged"),
        (every_format()["a.bmp"][:-300], "truncated or damaged"),
        (every_format()["a.webp"][:-100], "truncated or damaged"),
        (every_format()["a.tif"][:-100], "truncated or damaged"),
        (png_that_claims(8000, 7000), "8000 × 7000, 56 million"),
        (png_that_claims(60000, 60000), "far more pixels"),
    ],
)
def test_refused_with_its_name_and_reason(data: bytes, said: str) -> None:
    with pytest.raises(BadImage) as refusal:
        decode_image(data, "photo.jpg", LIMITS)
    message = str(refusal.value)
    assert message.startswith("photo.jpg: Expected")
    assert "Received" in message and said in message


def test_limits_are_of_the_caller() -> None:
    data = jpeg()
    assert decode_image(data, "a", Limits(pixels=40 * 30, file_bytes=len(data)))
    with pytest.raises(BadImage, match=r"a: Expected at most 0\.0012 million pixels"):
        decode_image(encoded(scene(0, 41, 30)), "a", Limits(pixels=40 * 30))
    with pytest.raises(BadImage, match=r"a: Expected at most .* MB"):
        decode_image(data, "a", Limits(file_bytes=len(data) - 1))


def test_pillows_forgiveness_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(BadImage, match="truncated"):
        decode_image(jpeg()[:-200], "a", LIMITS)
    with pytest.raises(BadImage, match="million pixels"):
        decode_image(png_that_claims(60000, 60000), "a", LIMITS)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_pillows_warnings_stay_inside() -> None:
    before = list(warnings.filters)
    assert Limits(pixels=100_000_000).pixels  # more than Pillow finds normal, so that it warns
    with pytest.raises(BadImage, match="truncated or damaged"):
        decode_image(png_that_claims(9600, 9600), "a", Limits(pixels=100_000_000))
    assert list(warnings.filters) == before


def test_a_missing_file_is_a_bad_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(every_format()["a.png"])
    assert read_image(tmp_path / "a.png", LIMITS).size == (40, 30)
    with pytest.raises(BadImage, match=r"b\.png: Expected a file that can be read"):
        read_image(tmp_path / "b.png", LIMITS)
    with pytest.raises(BadImage, match="Received a folder"):
        read_image(tmp_path, LIMITS)


def test_content_id_is_the_sha256() -> None:
    assert content_id(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_a_draft_is_smaller_but_not_too_small() -> None:
    data = encoded(scene(0, 800, 640), "JPEG")
    width, height = decode_image(data, "a", LIMITS, draft=100).size
    assert 100 <= width < 800 and 100 <= height < 640
