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

from tests.weight_files import write_stand_in
from tlcore.errors import WeightsDamaged, WeightsMissing
from tlcore.models.build import build_backbone
from tlcore.models.catalog import get_backbone
from tlcore.models.predictions import ModelRef
from tlcore.models.weights import (
    HDF5_SIGNATURE,
    download_weights,
    find_weights,
    list_weights,
    weights_file_name,
)
from tlcore.settings import Settings

V2 = get_backbone("MobileNetV2")
RESNET = get_backbone("ResNet50")


def put(settings: Settings, name: str, content: bytes) -> Path:
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
        write_stand_in(settings, V2, rows, top=False)
    found = find_weights(V2, size, settings, top=False)
    assert found.path.name == weights_file_name(V2, taken, top=False)


def test_another_resolution_is_said(settings: Settings) -> None:
    write_stand_in(settings, V2, 224, top=False)
    assert find_weights(V2, 224, settings, top=False).note == ""
    assert (
        find_weights(V2, 160, settings, top=False).note
        == "weights trained at 224 px, used at 160 px"
    )


def test_a_missing_file_is_named_with_its_place_and_its_command(settings: Settings) -> None:
    with pytest.raises(WeightsMissing) as error:
        find_weights(V2, 160, settings, top=True)
    said = str(error.value)
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160.h5" in said
    assert str(settings.weights) in said
    assert "python -m tlcore weights fetch MobileNetV2 --size 160" in said


HEAD = HDF5_SIGNATURE + bytes(5) + b"\x08\x08" + bytes(9) + bytes(16)  # up to the size it notes
DAMAGES = {
    "empty": (lambda whole: b"", "it is empty"),
    "another file": (lambda whole: b"<html>not found</html>" * 9, "it is no HDF5 file"),
    "zeros": (lambda whole: bytes(len(whole)), "it is no HDF5 file"),
    "cut in its head": (lambda whole: whole[:30], "it is no HDF5 file"),
    "cut short": (lambda whole: whole[:-1], f"it was cut short, {9_331_999:,} of {9_332_000:,}"),
    "of another network": (
        lambda whole: small_hdf5(),
        "it has 2,000,000 bytes, where 9,032,000 to",
    ),
}


def small_hdf5() -> bytes:
    return HEAD + (2_000_000).to_bytes(8, "little") + bytes(2_000_000 - len(HEAD) - 8)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_not_whole_never_counts_as_ready(damage: str, settings: Settings) -> None:
    path = write_stand_in(settings, V2, 224, top=False)
    damaged, words = DAMAGES[damage]
    content = damaged(path.read_bytes())
    path.write_bytes(content)
    with pytest.raises(WeightsDamaged) as error:
        build_backbone(ModelRef("MobileNetV2", 224, top=False), settings)
    assert f"The file {path.name} in {settings.weights} does not hold the weights" in str(
        error.value
    )
    assert words in str(error.value)
    assert "python -m tlcore weights fetch MobileNetV2" in str(error.value)
    assert path.read_bytes() == content
    row = next(row for row in list_weights(settings) if row.backbone == V2)
    assert row.no_top is None
    assert row.damage == (str(error.value),)


def test_a_file_that_keras_knows_a_hash_of_is_held_against_it(settings: Settings) -> None:
    path = write_stand_in(settings, RESNET, 224, top=True)
    with pytest.raises(WeightsDamaged, match=r"its md5 is [0-9a-f]{32}, not"):
        build_backbone(ModelRef("ResNet50", 224), settings)
    assert path.exists()


def test_a_file_that_looks_whole_and_cannot_be_loaded_is_named(settings: Settings) -> None:
    path = write_stand_in(settings, get_backbone("MobileNet-0.25"), 128, top=False)
    with pytest.raises(WeightsDamaged, match=path.name):
        build_backbone(ModelRef("MobileNet-0.25", 128, top=False), settings)


def test_every_real_file_that_is_here_is_whole(real: Settings) -> None:
    """The sizes that are expected are those of Keras' own files."""
    here = [row for row in list_weights(real) if row.top or row.no_top]
    assert len(here) >= 4
    assert [row.damage for row in here if row.damage] == []


def test_ready_lists_every_backbone_whatever_lies_there(settings: Settings) -> None:
    write_stand_in(settings, V2, 224, top=False)
    put(settings, weights_file_name(RESNET, 224, top=True), b"damaged")
    rows = {row.backbone.name: row for row in list_weights(settings)}
    assert rows["MobileNetV2"].no_top is not None
    assert rows["MobileNetV2"].top is None
    assert rows["ResNet50"].top is None
    assert "it is no HDF5 file" in rows["ResNet50"].damage[0]


def test_real_weights_load_at_another_size(real: Settings) -> None:
    model, note = build_backbone(ModelRef("MobileNetV2", 160, top=False), real)
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
    source = folder / V2.files.address / weights_file_name(V2, 160, top=False)
    source.parent.mkdir(parents=True)
    write_stand_in(replace(settings, keras_home=folder), V2, 160, top=False).rename(source)
    content = source.read_bytes()
    seen: list[tuple[int, int | None]] = []

    path = download_weights(V2, 160, settings, top=False, progress=lambda *step: seen.append(step))

    assert path.read_bytes() == content
    assert find_weights(V2, 160, settings, top=False).path == path
    assert seen[-1] == (len(content), len(content))
    assert [child.name for child in settings.weights.iterdir()] == [path.name]


def test_a_download_with_the_wrong_hash_leaves_nothing(
    server: tuple[str, Path], settings: Settings
) -> None:
    url, folder = server
    settings = replace(settings, weights_url=url)
    source = folder / RESNET.files.address / weights_file_name(RESNET, 224, top=True)
    source.parent.mkdir(parents=True)
    source.write_bytes(small_hdf5())
    with pytest.raises(WeightsMissing, match=r"its md5 is .*, not 2cb95161"):
        download_weights(RESNET, 224, settings, top=True, progress=lambda *_: None)
    assert list(settings.weights.iterdir()) == []


def test_a_right_hash_is_accepted(server: tuple[str, Path], settings: Settings) -> None:
    url, folder = server
    settings = replace(settings, weights_url=url)
    content = small_hdf5()
    row = replace(RESNET, files=replace(RESNET.files, top_hash=hashlib.md5(content).hexdigest()))
    source = folder / row.files.address / weights_file_name(row, 224, top=True)
    source.parent.mkdir(parents=True)
    source.write_bytes(content)
    path = download_weights(row, 224, settings, top=True, progress=lambda *_: None)
    assert find_weights(row, 224, settings, top=True).path == path


@pytest.mark.parametrize("where", ["a missing file", "no server"])
def test_a_failed_download_says_what_to_do(
    where: str, server: tuple[str, Path], settings: Settings
) -> None:
    url = server[0] if where == "a missing file" else "http://127.0.0.1:9"
    with pytest.raises(WeightsMissing, match=r"put the file into .* yourself"):
        download_weights(
            V2, 224, replace(settings, weights_url=url), top=True, progress=lambda *_: None
        )


def test_what_is_sent_instead_of_weights_is_not_kept(
    server: tuple[str, Path], settings: Settings
) -> None:
    """Keras has no hash of this file: what an address answers for it would pass as weights."""
    url, folder = server
    source = folder / V2.files.address / weights_file_name(V2, 160, top=False)
    source.parent.mkdir(parents=True)
    source.write_text("<html>not found</html>" * 9)
    with pytest.raises(WeightsMissing, match="it is no HDF5 file"):
        download_weights(
            V2, 160, replace(settings, weights_url=url), top=False, progress=lambda *_: None
        )
    assert list(settings.weights.iterdir()) == []
