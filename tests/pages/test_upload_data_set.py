"""What can be done with a dataset: checked, labelled, renamed, divided, and all of it undone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.datasets.files import jpeg, write_folder
from tests.datasets.planted import faults, image
from tests.pages.conftest import Opened, grid_of, html_of, select_in_grid, texts
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.sources import from_uploads
from tlcore.datasets.store import list_datasets, load_dataset, load_state
from tlcore.settings import Settings


@pytest.fixture
def mine(workspace: Settings) -> str:
    """44 clean images in two classes, and some faults."""
    files = {f"{'ab'[i % 2]}/{i:02}.jpg": image(i) for i in range(44)}
    for fault in ("tiny", "placeholder", "truncated", "rotated"):
        files |= {f"a/{name.rpartition('/')[2]}": data for name, data in faults()[fault][1].items()}
    files["a/copy.jpg"] = image(0)
    import_dataset("mine", from_uploads(files.items()), workspace)
    return "mine"


def view(opened: Opened, name: str) -> AppTest:
    at = opened("Upload", dataset="mine", view=name)
    assert not at.exception
    return at


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


def test_the_overview_counts_and_draws(opened: Opened, workspace: Settings, mine: str) -> None:
    at = view(opened, "overview")
    assert "48 images" in html_of(at)
    assert len(at.get("plotly_chart")) == 2
    assert load_state(mine, workspace).dataset.hash[:8] in html_of(at)


def test_the_doctor_names_costs_and_mends(opened: Opened, workspace: Settings, mine: str) -> None:
    at = view(opened, "doctor")
    said = texts(at)
    for words in ("Tiny images", "a/tiny.png", "Empty or placeholder", "Exact duplicates",
                  "a/cut.jpg", "Rotated by their EXIF", "blur"):  # fmt: skip
        assert words in said
    press(at, "mend-tiny")
    assert "a/tiny.png" not in {s.file for s in load_dataset(mine, workspace).samples}
    press(at, "keep-uniform")
    assert "uniform" not in load_quality(mine, workspace).open
    press(at, "again-uniform")
    assert "uniform" in load_quality(mine, workspace).open
    for _ in range(3):
        press(at, "undo")
    assert load_state(mine, workspace).edits == ()
    assert "Tiny images" in texts(at)


def test_a_finding_by_itself(opened: Opened, workspace: Settings, mine: str) -> None:
    at = view(opened, "doctor")
    at.toggle(key="single-tiny").set_value(True).run()
    at.selectbox(key="one-label-tiny-0").set_value("b")
    press(at, "one-relabel-tiny-0")
    [tiny] = [s for s in load_dataset(mine, workspace).samples if s.file == "a/tiny.png"]
    assert tiny.label == "b"
    at = view(opened, "doctor")
    at.toggle(key="single-duplicate").set_value(True).run()
    press(at, "one-exclude-duplicate-0")
    assert "duplicate" not in load_quality(mine, workspace).by_kind


def test_a_set_that_was_not_looked_at_is(opened: Opened, workspace: Settings, mine: str) -> None:
    (workspace.datasets / mine / "facts.jsonl").unlink()
    at = view(opened, "doctor")
    for _ in range(20):
        if not load_quality(mine, workspace).unscanned:
            break
        at.run()
    assert load_quality(mine, workspace).unscanned == 0
    assert "Tiny images" in texts(at.run())


def test_chosen_thumbnails_are_labelled_and_excluded(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    at = view(opened, "label")
    select_in_grid(at, "grid-gallery", 0, 2)
    at.selectbox(key="pick-label").set_value("b").run()
    press(at, "pick-relabel")
    assert load_dataset(mine, workspace).counts == {"a": 24, "b": 24}
    select_in_grid(at, "grid-gallery", 1)
    press(at, "pick-exclude")
    assert len(load_dataset(mine, workspace).samples) == 47
    at.selectbox(key="only-used").set_value("Excluded").run()
    press(at, "pick-page")
    press(at, "pick-include")
    assert len(load_dataset(mine, workspace).samples) == 48


def test_the_gallery_is_paged_and_filtered(opened: Opened, workspace: Settings, mine: str) -> None:
    def shown() -> int:
        return len(grid_of(at, "grid-gallery")["images"])

    at = view(opened, "label")
    assert shown() == 40
    at.number_input(key="page-2").set_value(2).run()
    assert shown() == 8
    at.selectbox(key="only-label").set_value("b").run()
    assert shown() == 22
    at.selectbox(key="only-label").set_value("a").run()
    at.selectbox(key="only-kind").set_value("Tiny images").run()
    assert shown() == 1
    at.selectbox(key="only-label").set_value("b").run()
    assert "Take a filter away" in texts(at)


def test_a_class_is_renamed_merged_and_deleted(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    at = view(opened, "label")
    at.text_input(key="class-new").set_value("train").run()
    press(at, "class-rename")
    assert "Expected a class name" in at.error[0].value
    at.text_input(key="class-new").set_value("apples").run()
    press(at, "class-rename")
    assert set(load_dataset(mine, workspace).classes) == {"apples", "b"}
    at.selectbox(key="class-old").set_value("apples").run()
    at.text_input(key="class-new").set_value("b").run()
    assert "two become one" in texts(at)
    press(at, "class-rename")
    assert load_dataset(mine, workspace).counts == {"b": 48}
    press(at, "undo")
    at.selectbox(key="class-old").set_value("b").run()
    press(at, "class-delete")
    assert load_dataset(mine, workspace).counts == {"apples": 26}


def test_a_division_is_shown_stored_and_forgotten(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    at = view(opened, "divide")
    assert "not divided" in texts(at)
    at.slider(key="divide-test").set_value(20)
    press(at, "divide")
    parts = load_dataset(mine, workspace).counts_by_split
    assert set(parts) == {"train", "val", "test"}
    assert sum(parts["test"].values()) == 9
    assert "kept for the test" in texts(at)
    press(at, "divide-forget")
    assert set(load_dataset(mine, workspace).counts_by_split) == {None}


def test_a_set_is_renamed(opened: Opened, workspace: Settings, mine: str) -> None:
    at = view(opened, "overview")
    at.text_input(key="rename-mine").set_value("yours")
    press(at, "rename")
    assert "yours" in [info.name for info in list_datasets(workspace)]
    assert at.selectbox(key="select-dataset").value == "yours"


def test_all_excluded_is_said_and_nothing_breaks(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    at = view(opened, "label")
    for _ in range(2):
        press(at, "class-delete")
    assert load_dataset(mine, workspace).samples == ()
    for name in ("overview", "doctor", "label", "divide"):
        view(opened, name)
    at = opened("Compare", dataset="mine")
    assert not at.exception
    assert "all are excluded" in at.error[0].value


def test_a_folder_on_the_server_only_where_it_is_allowed(
    opened: Opened, workspace: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at = opened("Upload")
    assert at.segmented_control(key="select-import_source").options == [
        "Files or a zip", "A folder", "The camera",
    ]  # fmt: skip
    folder = write_folder(tmp_path / "open", {"garden/a/1.jpg": jpeg(1), "garden/b/2.jpg": jpeg(2)})
    allowed = replace(workspace, server_folders=(folder,))
    monkeypatch.setenv("TLCORE_SERVER_FOLDERS", allowed.to_environment()["TLCORE_SERVER_FOLDERS"])
    at = opened("Upload")
    at.segmented_control(key="select-import_source").set_value("server").run()
    at.text_input(key="server-0").set_value("../").run()
    assert "Expected a folder inside" in at.error[0].value
    at.text_input(key="server-0").set_value("garden").run()
    at.button(key="take").click().run()
    assert not at.exception
    assert load_dataset("garden", workspace).counts == {"a": 1, "b": 1}


def test_the_other_ways_are_offered(opened: Opened, workspace: Settings) -> None:
    at = opened("Upload")
    for way in ("folder", "camera"):
        at.segmented_control(key="select-import_source").set_value(way).run()
        assert not at.exception
