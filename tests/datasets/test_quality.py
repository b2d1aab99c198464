"""Every fault is named with its file, and nothing clean is."""

from __future__ import annotations

import pytest

from tests.datasets.findings import CLASSES, clean, faults, planted
from tlcore.datasets.edits import exclude
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.quality import DECIDE, KINDS, QualityReport, find_small_classes
from tlcore.datasets.quality_scan import load_quality, scan_quality
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.store import load_dataset
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import start_run
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
    run, process = start_run(config, home)
    process.wait(timeout=120)
    told = load_run(run, home)
    assert told.info.status == "finished", told.info.error
    assert tuple(told.classes) == CLASSES
    assert len(load_dataset("planted", home).samples) == after.images


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
