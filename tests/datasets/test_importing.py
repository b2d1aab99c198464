"""Files into a set: what is kept, what is refused, and that nothing half done is ever seen."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from tests.datasets.files import encoded, every_format, jpeg, scene, write_folder, zipped
from tlcore.datasets.archive import incoming_from_archive
from tlcore.datasets.dataset import Incoming
from tlcore.datasets.image_io import content_id
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.layout import LayoutChoices
from tlcore.datasets.sources import incoming_from_folder, incoming_from_uploads
from tlcore.datasets.store import load_dataset, scan_datasets
from tlcore.errors import BadDataset, StorageError
from tlcore.settings import Limits, Settings


def some(count: int, label: str = "ants", first: int = 0) -> list[tuple[str, bytes]]:
    return [(f"{label}/{i}.jpg", jpeg(i)) for i in range(first, first + count)]


def test_bytes_are_kept_as_they_came_under_their_hash(settings: Settings) -> None:
    data = {f"ants/{name}": image for name, image in every_format().items()}
    report = import_dataset("mine", incoming_from_uploads(data.items()), settings)
    assert (report.refused, report.added) == ((), len(data))
    for sample in report.dataset.samples:
        assert sample.path.read_bytes() == data[sample.file]
        assert sample.sha256 == content_id(data[sample.file])
        ending = sample.file.rpartition(".")[2].replace("j2k", "jp2")  # one format, two endings
        assert sample.path.name == f"{sample.sha256}.{ending}"
    assert load_dataset("mine", settings) == report.dataset


def test_the_ending_on_disk_is_of_the_content(settings: Settings) -> None:
    report = import_dataset("mine", incoming_from_uploads([("a.JPG", encoded(scene()))]), settings)
    assert report.dataset.samples[0].path.suffix == ".png"


def test_labels_and_splits_come_from_folders(settings: Settings, tmp_path: Path) -> None:
    write_folder(tmp_path / "set", {"train/ants/1.jpg": jpeg(1), "val/bees/2.JPEG": jpeg(2)})
    report = import_dataset("mine", incoming_from_folder(tmp_path), settings)
    assert [(s.file, s.label, s.split) for s in report.dataset.samples] == [
        ("set/train/ants/1.jpg", "ants", "train"),
        ("set/val/bees/2.JPEG", "bees", "val"),
    ]


def test_files_without_folder_get_the_given_label(settings: Settings) -> None:
    incoming = incoming_from_uploads([("a.jpg", jpeg()), ("ants/b.jpg", jpeg(1))])
    one = import_dataset("one", incoming, settings).dataset
    assert (one.classes, one.counts) == (("ants",), {"ants": 1, "unlabelled": 1})
    report = import_dataset("two", incoming, settings, choices=LayoutChoices(loose_label="bees"))
    assert report.dataset.classes == ("ants", "bees")


def test_the_manifest_holds_the_upright_size(settings: Settings) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(scene(0, 40, 30), "JPEG", exif=exif)
    import_dataset("mine", incoming_from_uploads([("a.jpg", data)]), settings)
    entries = json.loads((settings.datasets / "mine" / "dataset.json").read_text())["entries"]
    assert entries == [
        {
            "file": "a.jpg",
            "sha256": content_id(data),
            "ending": "jpg",
            "label": "unlabelled",
            "split": None,
            "width": 30,
            "height": 40,
        }
    ]


def test_bad_files_are_named_with_their_reason_and_the_rest_arrives(settings: Settings) -> None:
    bad = [
        ("notes", b"hello"),
        ("notes.txt", b"hello"),
        ("ants/cut.jpg", jpeg()[:300]),
        ("ants/empty.png", b""),
    ]
    report = import_dataset("mine", incoming_from_uploads(some(3) + bad), settings)
    assert len(report.dataset.samples) == report.added == 3
    assert [no.file for no in report.refused] == ["notes", "ants/cut.jpg", "ants/empty.png"]
    assert report.layout.describe_left_out() == "1 file is left out: 1 other than images (*.txt)."
    assert all(no.reason.startswith("Expected") and no.file not in no.reason
               for no in report.refused)  # fmt: skip


def test_a_reading_error_is_a_refusal(settings: Settings) -> None:
    def read() -> bytes:
        raise OSError("the disk is gone")

    incoming = [Incoming("ants/a.jpg", read, 10), *incoming_from_uploads(some(1))]
    assert import_dataset("mine", incoming, settings).refused[0].reason == "the disk is gone"


def test_nothing_usable_leaves_no_set(settings: Settings) -> None:
    files = [(f"{i}.txt", b"hello") for i in range(5)]
    with pytest.raises(BadDataset, match=r"at least one usable.*0\.txt: Expected.*And 2 more"):
        import_dataset("mine", incoming_from_uploads(files), settings)
    with pytest.raises(BadDataset, match="Received no files"):
        import_dataset("mine", [], settings)
    assert left_over(settings) == set()


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", ".hidden", "a/b", "a\\b", "../a", "a\0b", "x" * 61, "end.", " a", "a:b",
     "a\nb"],
)  # fmt: skip
def test_names_that_are_not_allowed(settings: Settings, name: str) -> None:
    with pytest.raises(BadDataset, match="letters, digits, spaces"):
        import_dataset(name, incoming_from_uploads(some(1)), settings)
    assert not settings.home.exists()


@pytest.mark.parametrize("name", ["a", "My set 2", "v1.0_final-b", "Käfer", "x" * 60])
def test_names_that_are_allowed(settings: Settings, name: str) -> None:
    import_dataset(name, incoming_from_uploads(some(1)), settings)
    assert [info.name for info in scan_datasets(settings)[0]] == [name]


def test_a_taken_name_is_refused_and_the_set_unharmed(settings: Settings) -> None:
    import_dataset("mine", incoming_from_uploads(some(2)), settings)
    with pytest.raises(BadDataset, match="'mine', which is taken"):
        import_dataset("mine", incoming_from_uploads(some(5)), settings)
    assert len(load_dataset("mine", settings).samples) == 2


def test_adding_keeps_what_is_there_and_duplicates_nothing(settings: Settings) -> None:
    import_dataset("mine", incoming_from_uploads(some(3)), settings)
    created = scan_datasets(settings)[0][0].created
    again = add_to_dataset("mine", incoming_from_uploads(some(3)), settings)
    assert (again.added, len(again.dataset.samples)) == (0, 3)
    changed = [("ants/0.jpg", jpeg(99)), ("bees/0.jpg", jpeg(0)), ("bad.jpg", b"x")]
    report = add_to_dataset("mine", incoming_from_uploads(changed), settings)
    assert (report.added, len(report.dataset.samples), len(report.refused)) == (2, 5, 1)
    assert load_dataset("mine", settings) == report.dataset
    assert scan_datasets(settings)[0][0].created == created
    with pytest.raises(BadDataset, match=r"\(mine\). Received 'other'"):
        add_to_dataset("other", incoming_from_uploads(some(1)), settings)
    with pytest.raises(BadDataset, match="at least one usable"):
        add_to_dataset("mine", incoming_from_uploads([("a.txt", b"x")]), settings)


def test_progress_counts_every_file(settings: Settings) -> None:
    seen: list[tuple[int, int | None]] = []
    files = [*some(4), ("bad.jpg", b"x")]
    import_dataset(
        "mine", incoming_from_uploads(files), settings, progress=lambda *at: seen.append(at)
    )
    assert seen == [(i, 5) for i in range(1, 6)]


def test_an_import_that_is_broken_off_leaves_nothing(settings: Settings) -> None:
    class Stop(BaseException):
        """As a page is stopped by a click elsewhere."""

    def progress(done: int, total: int | None) -> None:
        raise Stop

    with contextlib.suppress(Stop):
        import_dataset("mine", incoming_from_uploads(some(20)), settings, progress=progress)
    assert left_over(settings) == set()


def test_two_imports_of_one_name_at_once_give_one_set(settings: Settings) -> None:
    def attempt(first: int) -> bool:
        with contextlib.suppress(BadDataset):
            import_dataset("mine", incoming_from_uploads(some(30, first=first)), settings)
            return True
        return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(4))) == 1
    assert len(load_dataset("mine", settings).samples) == 30
    assert left_over(settings) == {"mine"}


def test_two_additions_at_once_both_arrive(settings: Settings) -> None:
    import_dataset("mine", incoming_from_uploads(some(1)), settings)
    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(add_to_dataset, "mine", incoming_from_uploads(some(10, label)), settings)
            for label in ("bees", "wasps", "flies")
        ]
        assert all(job.result().added == 10 for job in jobs)
    assert len(load_dataset("mine", settings).samples) == 31


def test_few_files_are_in_memory_at_once(settings: Settings) -> None:
    read = 0

    def incoming() -> Iterator[Incoming]:
        for file, data in some(60):
            yield Incoming(file, functools.partial(counted, data), len(data))

    def counted(data: bytes) -> bytes:
        nonlocal read
        read += 1
        return data

    ahead = []
    import_dataset("mine", incoming(), settings, progress=lambda done, _: ahead.append(read - done))
    assert max(ahead) <= 12


def test_a_zip_becomes_a_set(settings: Settings) -> None:
    files = {"set/ants/1.jpg": jpeg(1), "set/bees/2.jpg": jpeg(2), "../out.jpg": jpeg(3)}
    report = import_dataset("mine", incoming_from_archive(zipped(files), Limits()), settings)
    assert report.dataset.counts == {"ants": 1, "bees": 1}
    assert [no.file for no in report.refused] == ["../out.jpg"]


def test_a_home_that_cannot_be_written_is_said(settings: Settings) -> None:
    settings.home.write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="Nothing can be written below"):
        import_dataset("mine", incoming_from_uploads(some(1)), settings)


def left_over(settings: Settings) -> set[str]:
    """What lies in the folder of datasets, the lock aside."""
    return {path.name for path in settings.datasets.iterdir()} - {".lock"}
