"""A set written as a zip comes back as the same set."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.datasets.files import encoded, jpeg, scene
from tlcore.datasets import edits as editing
from tlcore.datasets.archive import incoming_from_archive
from tlcore.datasets.export import export_dataset
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.layout import LayoutChoices
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.splits import SplitPlan, split_dataset
from tlcore.datasets.store import load_dataset, load_state
from tlcore.errors import BadDataset, StorageError
from tlcore.settings import Settings


def make(settings: Settings) -> None:
    files = [(f"{'ab'[i % 2]} class/{i}.jpg", jpeg(i)) for i in range(20)]
    files += [
        ("b class/0.jpg", jpeg(50)),
        ("b class/x/1.jpg", jpeg(51)),
        ("b class/scan", jpeg(52)),
    ]
    files += [("a class/wrong.jpg", encoded(scene(53), "PNG")), ("a class/twice.jpg", jpeg(0))]
    import_dataset("mine", incoming_from_uploads(files), settings)


@pytest.mark.parametrize("divided", [False, True])
def test_it_comes_back_with_the_same_hash(
    divided: bool, settings: Settings, tmp_path: Path
) -> None:
    make(settings)
    keys = [item.key for item in load_state("mine", settings).samples]
    editing.exclude("mine", keys[:3], settings)
    editing.rename_class("mine", "a class", "Äpfel", settings)
    editing.relabel("mine", keys[5:8], "c", settings)
    if divided:
        split_dataset("mine", SplitPlan(0.3, 0.2, 1), settings)
    file = tmp_path / "out.zip"
    state = export_dataset("mine", file, settings)
    report = import_dataset("back", incoming_from_archive(file, settings.limits), settings)
    back = load_state("back", settings)
    assert report.refused == ()
    assert back.dataset.hash == state.dataset.hash
    assert dict(back.counts) == dict(state.counts)
    assert load_dataset("back", settings).counts_by_split == state.dataset.counts_by_split


def test_images_without_label_alone_come_back_without_one(
    settings: Settings, tmp_path: Path
) -> None:
    import_dataset(
        "mine", incoming_from_uploads([(f"{i}.jpg", jpeg(i)) for i in range(3)]), settings
    )
    state = export_dataset("mine", tmp_path / "out.zip", settings)
    import_dataset("back", incoming_from_archive(tmp_path / "out.zip", settings.limits), settings)
    assert load_dataset("back", settings).counts == {"unlabelled": 3}
    assert load_dataset("back", settings).hash == state.dataset.hash


def test_the_same_set_gives_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    make(settings)
    for name in ("one.zip", "two.zip"):
        export_dataset("mine", tmp_path / name, settings)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*zip*")) == ["one.zip", "two.zip"]
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.testzip() is None


def test_what_cannot_be_written_is_said(settings: Settings, tmp_path: Path) -> None:
    make(settings)
    with pytest.raises(StorageError, match="in a folder that is there"):
        export_dataset("mine", tmp_path / "nowhere" / "out.zip", settings)
    editing.exclude("mine", list(load_state("mine", settings).by_key), settings)
    with pytest.raises(BadDataset, match="none that are used"):
        export_dataset("mine", tmp_path / "out.zip", settings)


def test_a_class_name_that_would_come_back_as_another_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    files = [("x.jpg", jpeg(1)), ("y.jpg", jpeg(2))]
    import_dataset(
        "mine", incoming_from_uploads(files), settings, choices=LayoutChoices(loose_label="test")
    )
    with pytest.raises(BadDataset, match="Received 'test'"):
        export_dataset("mine", tmp_path / "out.zip", settings)
