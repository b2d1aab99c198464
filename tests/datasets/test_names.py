"""Names as people and systems write them: composed or not, in capitals or not, with numbers."""

from __future__ import annotations

from unicodedata import normalize

from tests.datasets.files import jpeg
from tlcore.datasets.edits import relabel, rename_class
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.store import load_dataset, load_state, rename_dataset
from tlcore.settings import Settings

APART = normalize("NFD", "café")


def bring(settings: Settings, files: dict[str, int], name: str = "mine") -> None:
    images = incoming_from_uploads((file, jpeg(seed)) for file, seed in files.items())
    import_dataset(name, images, settings)


def test_a_name_is_composed_on_import_and_lookup(settings: Settings) -> None:
    bring(settings, {"café/1.jpg": 1, f"{APART}/2.jpg": 2, "tea/3.jpg": 3}, name=f"my {APART}")
    assert load_dataset("my café", settings).counts == {"café": 2, "tea": 1}
    key = load_state(f"my {APART}", settings).samples[-1].key
    assert relabel("my café", [key], APART, settings).counts == {"café": 3}
    assert rename_class("my café", APART, f"{APART} noir", settings).counts == {"café noir": 3}
    more = incoming_from_uploads([(f"{APART} noir/9.jpg", jpeg(9)), ("tea/4.jpg", jpeg(4))])
    report = add_to_dataset(f"my {APART}", more, settings)
    assert report.dataset.counts == {"café noir": 4, "tea": 1}
    rename_dataset(f"my {APART}", f"{APART} 2", settings)
    assert load_dataset("café 2", settings).classes == ("café noir", "tea")


def test_classes_are_listed_as_people_count(settings: Settings) -> None:
    bring(settings, {f"{angle}/1.jpg": angle for angle in (0, 180, 270, 90)})
    assert load_dataset("mine", settings).classes == ("0", "90", "180", "270")
