"""Weight files found, doubted and fetched; the downloads come from a real local server."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tlcore.errors import WeightsMissing
from tlcore.models.answers import Pretrained
from tlcore.models.build import build
from tlcore.models.catalogue import backbone
from tlcore.models.fetch import fetch
from tlcore.models.weights import HDF5_SIGNATURE, file_name, find, ready
from tlcore.settings import Settings

V2 = backbone("MobileNetV2")
RESNET = backbone("ResNet50")


def put(settings: Settings, name: str, content: bytes = HDF5_SIGNATURE + b"weights") -> Path:
    settings.weights.mkdir(parents=True, exist_ok=True)
    path = settings.weights / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("size", "here", "taken"),
    [
        (224, [224], 224),
        (160, [160, 224], 160),
        (160, [128, 224], 128),  # the nearest
        (160, [96, 224], 224),  # as near on both sides: the larger
        (200, [192, 224], 224),  # Keras takes 224 for a size that has no file of its own
        (200, [192], 192),
    ],
)
def test_the_nearest_resolution_is_taken(
    size: int, here: list[int], taken: int, settings: Settings
) -> None:
    for rows in here:
        put(settings, file_name(V2, rows, top=False))
    found = find(V2, size, settings, top=False)
    assert found.path.name == file_name(V2, taken, top=False)


def test_another_resolution_is_said(settings: Settings) -> None:
    put(settings, file_name(V2, 224, top=False))
    assert find(V2, 224, settings, top=False).note == ""
    assert find(V2, 160, settings, top=False).note == "weights trained at 224 px, used at 160 px"


def test_a_missing_file_is_named_with_its_place_and_its_command(settings: Settings) -> None:
    with pytest.raises(WeightsMissing) as error:
        find(V2, 160, settings, top=True)
    said = str(error.value)
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160.h5" in said
    assert str(settings.weights) in said
    assert "python -m tlcore weights fetch MobileNetV2 --size 160" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"<html>not found</html>", "no HDF5 file"), (HDF5_SIGNATURE + b"other", "whose md5 is")],
)
def test_a_damaged_file_is_refused_and_stays(content: bytes, said: str, settings: Settings) -> None:
    path = put(settings, file_name(RESNET, 224, top=True), content)
    with pytest.raises(WeightsMissing, match=said):
        build(Pretrained("ResNet50", 224), settings)
    assert path.read_bytes() == content


def test_ready_lists_every_backbone_whatever_lies_there(settings: Settings) -> None:
    put(settings, file_name(V2, 224, top=False))
    put(settings, file_name(RESNET, 224, top=True), b"damaged")
    rows = {row.backbone.name: row for row in ready(settings)}
    assert rows["MobileNetV2"].no_top is not None
    assert rows["MobileNetV2"].top is None
    assert rows["ResNet50"].top is None


def test_real_weights_load_at_another_size(real: Settings) -> None:
    model, note = build(Pretrained("MobileNetV2", 160, top=False), real)
    assert model.output_shape == (None, 5, 5, 1280)
    assert note == "weights trained at 224 px, used at 160 px"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server of files on this machine: its address and its folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", folder
        running.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_fetch_downloads_whole_files_and_tells_how_far(
    server: tuple[str, Path], settings: Settings
) -> None:
    url, folder = server
    settings = replace(settings, weights_url=url)
    content = HDF5_SIGNATURE + bytes(3_000_000)
    source = folder / V2.files.address / file_name(V2, 160, top=False)
    source.parent.mkdir(parents=True)
    source.write_bytes(content)
    seen: list[tuple[int, int | None]] = []

    path = fetch(V2, 160, settings, top=False, progress=lambda *step: seen.append(step))

    assert path.read_bytes() == content
    assert find(V2, 160, settings, top=False).path == path
    assert seen[-1] == (len(content), len(content))
    assert [child.name for child in settings.weights.iterdir()] == [path.name]


def test_a_download_with_the_wrong_hash_leaves_nothing(
    server: tuple[str, Path], settings: Settings
) -> None:
    url, folder = server
    settings = replace(settings, weights_url=url)
    source = folder / RESNET.files.address / file_name(RESNET, 224, top=True)
    source.parent.mkdir(parents=True)
    source.write_bytes(HDF5_SIGNATURE + b"someone else's")
    with pytest.raises(WeightsMissing, match="hash"):
        fetch(RESNET, 224, settings, top=True, progress=lambda *_: None)
    assert list(settings.weights.iterdir()) == []


def test_a_right_hash_is_accepted(server: tuple[str, Path], settings: Settings) -> None:
    url, folder = server
    settings = replace(settings, weights_url=url)
    content = HDF5_SIGNATURE + b"mine"
    row = replace(RESNET, files=replace(RESNET.files, top_hash=hashlib.md5(content).hexdigest()))
    source = folder / row.files.address / file_name(row, 224, top=True)
    source.parent.mkdir(parents=True)
    source.write_bytes(content)
    path = fetch(row, 224, settings, top=True, progress=lambda *_: None)
    assert find(row, 224, settings, top=True).path == path


@pytest.mark.parametrize("where", ["a missing file", "no server"])
def test_a_failed_download_says_what_to_do(
    where: str, server: tuple[str, Path], settings: Settings
) -> None:
    url = server[0] if where == "a missing file" else "http://127.0.0.1:9"
    with pytest.raises(WeightsMissing, match=r"put the file into .* yourself"):
        fetch(V2, 224, replace(settings, weights_url=url), top=True, progress=lambda *_: None)
