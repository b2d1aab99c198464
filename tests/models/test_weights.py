"""Weight files found, checked and downloaded, from a real local server."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import tlcore
from tests.weight_files import write_stand_in
from tlcore.errors import WeightsDamaged, WeightsMissing
from tlcore.jobs import cancel_job, read_job
from tlcore.models.build import build_backbone
from tlcore.models.catalog import Backbone, get_backbone
from tlcore.models.predictions import ModelRef
from tlcore.models.runtime import backbone_network
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


def test_a_missing_file_is_named_with_its_place_and_its_command(settings: Settings) -> None:
    with pytest.raises(WeightsMissing) as error:
        find_weights(V2, 160, settings, top=True)
    file = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160.h5"
    command = "python -m tlcore weights fetch MobileNetV2 --size 160"
    assert all(words in str(error.value) for words in (file, str(settings.weights), command))


HEAD = HDF5_SIGNATURE + bytes(5) + b"\x08\x08" + bytes(9) + bytes(16)  # up to the size it notes
DAMAGES = {
    "empty": (lambda whole: b"", "it is empty"),
    "another file": (lambda whole: b"<html>not found</html>" * 9, "it is no HDF5 file"),
    "zeros": (lambda whole: bytes(len(whole)), "it is no HDF5 file"),
    "cut in its head": (lambda whole: whole[:30], "it is no HDF5 file"),
    "cut short": (lambda whole: whole[:-1], f"it was cut short, {9_331_999:,} of {9_332_000:,}"),
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
    message = str(error.value)
    beginning = f"The file {path.name} in {settings.weights} does not hold the weights"
    command = "python -m tlcore weights fetch MobileNetV2"
    assert all(part in message for part in (beginning, words, command))
    assert path.read_bytes() == content
    row = next(row for row in list_weights(settings) if row.backbone == V2)
    assert (row.no_top, row.damage) == (None, (message,))


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


def test_real_weights_load_at_another_size(real: Settings) -> None:
    model, note = build_backbone(ModelRef("MobileNetV2", 160, top=False), real)
    assert model.output_shape == (None, 5, 5, 1280)
    assert note == "weights trained at 224 px, used at 160 px"


@dataclass(frozen=True)
class Server:
    """A web server of weight files on this machine."""

    folder: Path
    settings: Settings  # its address is where weights are downloaded from

    def offer(self, row: Backbone, size: int, content: bytes, *, top: bool) -> None:
        path = self.folder / row.files.address / weights_file_name(row, size, top=top)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, settings: Settings) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}"
        yield Server(folder, replace(settings, weights_url=address))
        running.shutdown()
        thread.join()


def download(row: Backbone, size: int, settings: Settings, *, top: bool) -> tuple[Path, list[Any]]:
    steps: list[Any] = []
    path = download_weights(row, size, settings, top=top, progress=lambda *step: steps.append(step))
    return path, steps


def test_whole_files_are_downloaded_with_progress(server: Server, tmp_path: Path) -> None:
    other = replace(server.settings, keras_home=tmp_path / "other")
    content = write_stand_in(other, V2, 160, top=False).read_bytes()
    server.offer(V2, 160, content, top=False)
    path, steps = download(V2, 160, server.settings, top=False)
    assert path.read_bytes() == content
    assert find_weights(V2, 160, server.settings, top=False).path == path
    assert steps[-1] == (len(content), len(content))
    assert [child.name for child in server.settings.weights.iterdir()] == [path.name]


def test_what_was_fetched_is_converted_behind_it(server: Server, tmp_path: Path) -> None:
    settings = replace(server.settings, runtime="auto")
    for top in (True, False):
        other = replace(settings, keras_home=tmp_path / "other")
        server.offer(V2, 160, write_stand_in(other, V2, 160, top=top).read_bytes(), top=top)
    done = tlcore(settings, "weights", "fetch", "MobileNetV2", "--size", "160")
    assert done.returncode == 0, done.stderr
    network = backbone_network(ModelRef("MobileNetV2", 160), settings)
    folder = settings.jobs / f"convert-{network.name}"
    assert read_job(folder).is_running
    cancel_job(folder)


def test_a_right_hash_is_accepted(server: Server) -> None:
    digest = hashlib.md5(small_hdf5()).hexdigest()
    row = replace(RESNET, files=replace(RESNET.files, top_hash=digest))
    server.offer(row, 224, small_hdf5(), top=True)
    path, _ = download(row, 224, server.settings, top=True)
    assert find_weights(row, 224, server.settings, top=True).path == path


@pytest.mark.parametrize(
    ("backbone", "content", "message"),
    [
        (RESNET, small_hdf5(), r"its md5 is .*, not 2cb95161"),
        # Keras has no hash of this file: whatever an address sends would pass as weights.
        (V2, b"<html>not found</html>" * 9, "it is no HDF5 file"),
        (V2, None, r"404.*put the file into .* yourself"),
    ],
    ids=["another hash", "a page instead", "no such file"],
)
def test_a_download_that_fails_leaves_nothing(
    backbone: Backbone, content: bytes | None, message: str, server: Server
) -> None:
    if content is not None:
        server.offer(backbone, 224, content, top=True)
    with pytest.raises(WeightsMissing, match=message):
        download(backbone, 224, server.settings, top=True)
    assert list(server.settings.weights.iterdir()) == []


def test_without_a_server_it_says_what_to_do(settings: Settings) -> None:
    nowhere = replace(settings, weights_url="http://127.0.0.1:9")
    with pytest.raises(WeightsMissing, match=r"No internet: .* yourself"):
        download(V2, 224, nowhere, top=True)
