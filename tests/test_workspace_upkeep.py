"""What is left over goes, what is not offered cannot be reached, a name is given once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.old_workspace import DATASET, FINISHED, STOPPED, unpack
from tlcore.activations.channel import find_top_images
from tlcore.datasets.dataset import Dataset
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.store import delete_dataset, load_dataset, rename_dataset, scan_datasets
from tlcore.datasets.thumbnails import load_thumbnail
from tlcore.errors import BadDataset, RunError
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import delete_run, stop_run
from tlcore.training.store import load_run_info


@pytest.fixture
def workspace(tmp_path: Path) -> Settings:
    return Settings(home=unpack(tmp_path / "home"), keras_home=tmp_path / "keras")


def images_of(dataset: Dataset) -> list[tuple[str, bytes]]:
    return [(sample.file, sample.path.read_bytes()) for sample in dataset.samples]


def test_of_two_who_give_the_same_name_one_is_refused(
    workspace: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are held just before they rename, as long as the other may come to the same place."""
    images = images_of(load_dataset(DATASET, workspace))[:2]
    for name in ("one", "other"):
        import_dataset(name, incoming_from_uploads(images), workspace)
    meeting, move = threading.Barrier(2), Path.rename

    def late(path: Path, target: Path) -> Path:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(timeout=0.5)
        return move(path, target)

    def rename(name: str) -> str:
        try:
            rename_dataset(name, "wanted", workspace)
        except BadDataset as error:
            return str(error)
        return ""

    monkeypatch.setattr(Path, "rename", late)
    with ThreadPoolExecutor(2) as pool:
        words = sorted(pool.map(rename, ("one", "other")))
    assert words[0] == ""
    assert "which is taken" in words[1]
    assert len(scan_datasets(workspace)[0]) == 3


@pytest.mark.parametrize("run", ["..", ".", "", ".hidden", "../runs", f"../runs/{FINISHED}", "\0"])
def test_only_what_is_listed_is_a_run(run: str, workspace: Settings) -> None:
    for folder in (workspace.home, workspace.runs, workspace.runs / ".hidden"):
        folder.mkdir(exist_ok=True)
        write_json(folder / "config.json", RunConfig(DATASET).to_json())
    for do in (load_run_info, stop_run, delete_run):
        with pytest.raises(RunError, match="Expected the id of a run"):
            do(run, workspace)
    assert not (workspace.home / "stop").exists()


def test_what_a_killed_deletion_left_is_removed_by_the_next(workspace: Settings) -> None:
    (workspace.runs / STOPPED).rename(workspace.runs / f".trash-{STOPPED}")  # killed right here
    delete_run(FINISHED, workspace)
    assert [path for path in workspace.runs.iterdir() if path.name.startswith(".trash")] == []


def test_thumbnails_of_a_deleted_dataset_go_but_those_of_others_stay(workspace: Settings) -> None:
    samples = load_dataset(DATASET, workspace).samples
    for sample in samples:
        load_thumbnail(sample, workspace)
    kept = images_of(load_dataset(DATASET, workspace))[:2]
    import_dataset("other", incoming_from_uploads(kept), workspace)
    others = {sample.sha256 for sample in load_dataset("other", workspace).samples}
    (workspace.datasets / "damaged").mkdir()
    (workspace.datasets / "damaged" / "images").touch()  # a file where a folder should be
    delete_dataset(DATASET, workspace)
    left = {path.name[:64] for path in (workspace.home / "thumbnails").rglob("*.jpg")}
    assert left == others


def test_what_excites_channels_fills_no_more_than_its_limit(workspace: Settings) -> None:
    """Of three layers two fit: the one looked at longest ago is computed again."""
    dataset = load_dataset(DATASET, workspace)
    computed: list[int] = []

    def measure(paths: object) -> Floats:
        computed.append(1)
        return np.zeros((2, 8, 1000), np.float32)

    settings = replace(workspace, top_images_bytes=2 * 3 * 16 * 1000 * 4 + 1000)

    def look(layer: str) -> int:
        """Return the parts that had to be computed."""
        before = len(computed)
        found = find_top_images(
            dataset, ModelRef("MobileNet-0.25", 64, random=True), layer, settings
        )
        while not found.complete:
            found.compute_next(measure)
        return len(computed) - before

    assert [look(layer) for layer in ("first", "second", "third")] == [3, 3, 3]
    assert look("fourth") == 3
    assert look("third") == 0
    assert look("first") == 3
    size = sum(path.stat().st_size for path in settings.top_images.rglob("*.npy"))
    assert size <= settings.top_images_bytes
