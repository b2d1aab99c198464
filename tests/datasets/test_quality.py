"""Every fault is named with its file, and nothing clean is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from PIL import Image

from tests.datasets.files import encoded, jpeg, scene
from tests.datasets.findings import CLASSES, clean, faults, nearly_grey, placeholder, planted
from tests.evaluation.made import train_run
from tlcore.datasets.edits import exclude, merge_classes, undo_edit
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.quality import (
    DECIDE,
    DEPTH,
    KINDS,
    NAMES,
    SHORTCUT,
    QualityReport,
    find_small_classes,
)
from tlcore.datasets.quality_scan import load_quality, scan_quality
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.splits import divide_again, split_samples
from tlcore.datasets.store import load_dataset
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.store import load_run

FAULTS = faults()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The planted set, imported."""
    folder = tmp_path_factory.mktemp("planted")
    settings = Settings(home=folder, keras_home=folder / "keras")
    import_dataset("planted", incoming_from_uploads(planted().items()), settings)
    return settings


@pytest.fixture(scope="module")
def found(home: Settings) -> QualityReport:
    return load_quality("planted", home)


def test_every_fault_is_named_with_its_file_and_nothing_else_is(found: QualityReport) -> None:
    for kind, files in FAULTS.values():
        assert set(files) <= {file for each in found.by_kind[kind] for file in each.files}, kind
    bad = {file for _, files in FAULTS.values() for file in files}
    partners = {"train/bees/001.jpg", "train/ants/003.jpg", "train/ants/006.jpg",
                "val/ants/000.jpg"}  # fmt: skip
    assert {file for finding in found.findings for file in finding.files} == bad | partners
    assert all(len(found.by_kind[kind]) == 1 for kind, _ in FAULTS.values())
    assert found.unscanned == 0
    assert not found.small_classes


def test_the_doctor_needs_no_import_to_have_looked(home: Settings, found: QualityReport) -> None:
    (home.datasets / "planted" / "image_facts.jsonl").unlink()
    assert load_quality("planted", home).unscanned == found.images
    some = scan_quality("planted", home, seconds=0.0)
    assert 0 < some.unscanned < found.images
    assert scan_quality("planted", home).findings == found.findings


def test_what_remains_after_all_is_mended_can_be_learned_from(
    home: Settings, found: QualityReport
) -> None:
    drop = {
        key
        for kind, findings in found.open_findings.items()
        if KINDS[kind].level == DECIDE
        for finding in findings
        for key in finding.excludes
    }
    exclude("planted", drop, home)
    after = load_quality("planted", home)
    assert not [kind for kind in after.open_findings if KINDS[kind].level == DECIDE]
    config = RunConfig(
        dataset="planted", backbone="MobileNet-0.25", size=32, random_weights=True, epochs=1
    )
    told = load_run(train_run(home, config).id, home)
    assert told.info.status == "finished", told.info.error
    assert tuple(told.classes) == CLASSES
    assert len(load_dataset("planted", home).samples) == after.images


@pytest.mark.parametrize(
    ("image", "details"),
    [
        (Image.new("RGB", (90, 90), (9, 9, 9)), "100% of it is one colour"),
        (placeholder(), "one colour"),
        (nearly_grey(), "its grey levels lie [1-4]\\.[0-9] of 255 around their mean"),
    ],
)
def test_the_figure_that_made_the_finding_is_shown(
    image: Image.Image, details: str, settings: Settings
) -> None:
    files = [("a/x.png", encoded(image)), ("b/y.jpg", jpeg(1))]
    import_dataset("mine", incoming_from_uploads(files), settings)
    [finding] = load_quality("mine", settings).by_kind["uniform"]
    assert re.search(details, finding.details)


def warnings(files: list[tuple[str, Image.Image]], settings: Settings) -> dict[str, str]:
    """What is said about the classes, by kind."""
    images = ((file, encoded(image, "JPEG")) for file, image in files)
    import_dataset("mine", incoming_from_uploads(images), settings)
    found = reversed(load_quality("mine", settings).warnings)
    return {each.kind: each.message for each in found}  # the first of each kind


def test_names_that_differ_by_capitals_or_blanks_are_merged(settings: Settings) -> None:
    labels = ["Cat", "cat", "cat", "dog", "dog ", "dog  x"]
    said = warnings([(f"{label}/{at}.jpg", scene(at)) for at, label in enumerate(labels)], settings)
    assert set(said) == {NAMES}
    report = load_quality("mine", settings)
    assert [each.labels for each in report.warnings] == [("cat", "Cat"), ("dog", "dog ")]
    merge_classes("mine", report.warnings[0].labels, "cat", settings)
    state = merge_classes("mine", report.warnings[1].labels, "dog", settings)
    assert state.counts == {"cat": 3, "dog": 2, "dog  x": 1}
    assert load_quality("mine", settings).warnings == ()
    assert undo_edit("mine", settings).counts["dog "] == 1


def test_a_class_that_one_split_does_not_have_is_named(settings: Settings) -> None:
    angles = {"train": (0, 90, 180, 270), "val": (0, 90, 270, 45), "test": (0, 90, 180)}
    files = [
        (f"{split}/{angle}/{at}.jpg", scene(angle + 1000 * at + len(split)))
        for split, some in angles.items()
        for angle in some
        for at in range(2)
    ]
    warnings(files, settings)
    first, second = (each.message for each in load_quality("mine", settings).warnings)
    assert "No validation image shows 180" in first
    assert "Only the validation split has 45" in first
    assert "No test image shows 270" in second
    with pytest.raises(BadDataset, match="45: 0"):
        split_samples(load_dataset("mine", settings))
    state = divide_again("mine", settings)
    assert all(counts["180"] for counts in state.dataset.counts_by_split.values())


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda image, at: image.resize((90 + 30 * (at % 2), 80)), "Image width"),
        (lambda image, at: image.point(lambda level: level // (1 + 3 * (at % 2))), "Brightness"),
        (lambda image, at: image.convert("L") if at % 2 else image, "Colour mode"),
    ],
)
def test_what_the_label_can_be_read_from_is_named(
    change: Callable[[Image.Image, int], Image.Image], what: str, settings: Settings
) -> None:
    files = [(f"{'ab'[at % 2]}/{at}.jpg", change(scene(at, 90, 80), at)) for at in range(40)]
    said = warnings(files, settings)[SHORTCUT]
    assert said.startswith(f"{what} alone reaches")
    assert "(guessing: 50%)" in said


def test_nothing_is_named_where_nothing_tells_the_classes_apart(settings: Settings) -> None:
    random = Random(1)
    sizes = ((random.randint(70, 200), random.randint(70, 200)) for _ in range(60))
    files = [(f"{'ab'[at % 2]}/{at}.jpg", scene(at, *size)) for at, size in enumerate(sizes)]
    assert warnings(files, settings) == {}


def test_a_file_that_changed_on_disk_is_found(settings: Settings) -> None:
    files = dict(list(clean().items())[:8])
    report = import_dataset("mine", incoming_from_uploads(files.items()), settings)
    sample = report.dataset.samples[0]
    sample.path.write_bytes(sample.path.read_bytes()[:500])
    assert not load_quality("mine", settings).by_kind
    [finding] = scan_quality("mine", settings, rescan=True).by_kind["truncated"]
    assert finding.files == (sample.file,)


@pytest.mark.parametrize(
    ("counts", "label", "recommended"),
    [
        ({"a": 4, "b": 30}, "a", 20),
        ({"a": 19, "b": 30}, "a", 20),
        ({"a": 100, "b": 20}, "b", 34),
        ({"a": 1000, "b": 333}, "b", 334),
    ],
)
def test_a_small_class(counts: dict[str, int], label: str, recommended: int) -> None:
    for enough in ({}, {"a": 20}, {"a": 60, "b": 20}, {"a": 1000, "b": 334}):
        assert find_small_classes(enough) == ()
    [small] = find_small_classes(counts)
    assert (small.label, small.images, small.recommended) == (label, counts[label], recommended)
    assert str(recommended) in small.message
    assert find_small_classes(counts | {label: recommended}) == ()
    assert [small.label for small in find_small_classes({"a": 9, "b": 2, "c": 50})] == ["b", "a"]


def test_depths_are_named_and_several_are_a_warning(settings: Settings) -> None:
    random = np.random.default_rng(0)
    files = {
        f"{'ab'[n % 2]}/{n}.png": encoded(
            Image.fromarray(random.integers(0, 4096 if n < 8 else 65536, (70, 80), np.uint16))
        )
        for n in range(10)
    }
    import_dataset("deep", incoming_from_uploads(files.items()), settings)
    report = load_quality("deep", settings)
    details = Counter(each.details for each in report.by_kind["deep"])
    assert details == {"12 bits, PNG": 8, "16 bits, PNG": 2}
    [warning] = [each for each in report.warnings if each.kind == DEPTH]
    assert "(12 bits 8, 16 bits 2)" in warning.message
