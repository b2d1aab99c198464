"""Upload: what arrives and what is refused; problems, labels, classes, splits, all of it undone."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.cli.test_layouts import cats_and_dogs
from tests.datasets.files import encoded, write_folder
from tests.datasets.files import jpeg as plain_jpeg
from tests.datasets.files import zipped as zip_files
from tests.datasets.findings import faults, image
from tests.datasets.test_recordings import recordings
from tests.pages.conftest import Opened, grid_of, html_of, select_in_grid, texts
from tlcore.datasets.dataset import UNLABELLED
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.sample_dataset import SAMPLE_NAME, draw_sample
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.store import load_dataset, load_state, scan_datasets
from tlcore.settings import Settings

File = tuple[str, bytes, str]


def jpeg(number: int, label: str = "daisy") -> File:
    return f"{label} {number}.jpg", draw_sample(label, "train", number), "image/jpeg"


def adding(opened: Opened) -> AppTest:
    """The page with its form open."""
    at = opened("Upload")
    if any(button.key == "add-images" for button in at.button):
        at.button(key="add-images").click().run()
    return at


def bring(at: AppTest, *files: File, **fields: str) -> AppTest:
    """Upload files on a page whose form is open."""
    at.file_uploader(key="upload-0").set_value(list(files)).run()
    for key, value in fields.items():
        at.text_input(key=f"{key}-0").set_value(value)
    return at.button(key="import").click().run()


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


def test_without_a_dataset_there_is_a_drop_zone_and_the_sample(
    opened: Opened, empty_workspace: Settings, sample_copied: None
) -> None:
    at = opened("Upload")
    assert at.file_uploader(key="upload-0")
    assert not [box for box in at.selectbox if box.key == "select-dataset"]
    press(at, "sample")
    assert at.selectbox(key="select-dataset").value == SAMPLE_NAME
    assert at.button(key="train").label == "Train on these 4 classes"


def test_good_files_become_a_dataset_bad_ones_are_named_and_more_are_added(
    opened: Opened, workspace: Settings
) -> None:
    whole = jpeg(1)
    cut = ("cut *off*.jpg", whole[1][: len(whole[1]) // 2], "image/jpeg")
    notes = ("notes.txt", b"no image at all", "text/plain")
    flat = io.BytesIO()  # palette with transparency, the kind that breaks a thumbnail
    Image.new("P", (40, 30)).save(flat, "GIF", transparency=0)
    gif = ("flat.gif", flat.getvalue(), "image/gif")
    at = bring(adding(opened), whole, notes, cut, gif, name="garden", label="daisies")
    assert not at.exception
    assert not at.error
    assert [s.label for s in load_dataset("garden", workspace).samples] == ["daisies"] * 2
    shown = texts(at)
    for words in ("1 file is left out", "cut \\*off\\*.jpg", "truncated or damaged"):
        assert words in shown
    assert "2 images" in at.success[0].value
    at.segmented_control(key="select-dataset_view").set_value("images").run()
    images = grid_of(at, "grid-strip-0")["images"]
    assert any("flat.gif" in one["title"] and one["url"] for one in images)
    press(at, "add-images")
    assert at.file_uploader(key="upload-1").value == []
    again = adding(opened)  # the dataset survives a reload, its report does not
    assert again.selectbox(key="select-dataset").value == "garden"
    assert not again.success
    again.file_uploader(key="upload-0").set_value([jpeg(1, "sailboat")]).run()
    again.selectbox(key="target-0").set_value("garden").run()
    again.text_input(key="label-0").set_value("sailboat").run()
    assert "1 image is new (sailboat 1), 0 there already. New: sailboat." in (
        texts(again).replace("\\", "")
    )
    press(again, "import")
    assert load_dataset("garden", workspace).counts == {"daisies": 2, "sailboat": 1}


def test_a_zip_as_downloaded_is_two_classes_with_their_splits(
    opened: Opened, workspace: Settings
) -> None:
    source = ("cats and dogs.zip", zip_files(cats_and_dogs()).getvalue(), "application/zip")
    at = adding(opened)
    at.file_uploader(key="upload-0").set_value([source]).run()
    shown = texts(at).replace("\\", "")
    assert "2 classes: cats 8 + 4, dogs 8 + 4. " in shown and "1 image has no label." in shown
    [table] = [frame.value for frame in at.dataframe]
    assert table["Class"].tolist() == ["cats", "dogs", "unlabelled"]
    assert table["Training"].tolist() == [8, 8, 0]
    assert table["0"].str.startswith("data:image/jpeg;base64,").all()
    press(at, "import")
    assert "has 25 images in 2 classes, 1 of them without label." in at.success[0].value
    shown = html_of(at.run())
    for words in ("16 training", "8 test", "2 classes", "1 without label"):
        assert words in shown
    newest = scan_datasets(workspace)[0][0]
    assert (newest.name, newest.dataset.classes) == ("cats and dogs", ("cats", "dogs"))
    form = opened("Fine-tune", dataset=newest.name)
    assert "2 classes, 12 training and 4 validation images" in texts(form)


def test_labels_in_file_names_are_offered_and_folders_can_be_read_otherwise(
    opened: Opened, workspace: Settings
) -> None:
    files = {f"train/{label}.{n}.jpg": plain_jpeg(n + 20 * at)
             for at, label in enumerate(("cat", "dog")) for n in range(3)}  # fmt: skip
    at = adding(opened)
    source = ("names.zip", zip_files(files | {"test1/1.jpg": plain_jpeg(50)}).getvalue(), "")
    at.file_uploader(key="upload-0").set_value([source]).run()
    offer = next(button for button in at.button if button.label.startswith("Take 2 labels"))
    assert offer.label == "Take 2 labels from the file names? cat 3, dog 3"
    offer.click().run()
    assert "2 classes: cat 3, dog 3." in texts(at).replace("\\", "")
    at.selectbox(key="folder-test1").set_value("out").run()
    press(at, "import")
    dataset = load_dataset("names", workspace)
    assert dataset.counts == {"cat": 3, "dog": 3}
    assert dataset.counts_by_split == {"train": {"cat": 3, "dog": 3}}


def test_several_zips_are_a_class_each(opened: Opened, workspace: Settings) -> None:
    zips = [
        (f"{label}-samples.zip", zip_files({"1.jpg": plain_jpeg(at)}).getvalue(), "")
        for at, label in enumerate(("Class 1", "Class 2"))
    ]
    at = bring(adding(opened), *zips, name="machine")
    assert not at.exception
    assert load_dataset("machine", workspace).counts == {"Class 1": 1, "Class 2": 1}


def test_classes_named_like_splits_are_refused_before_training(
    opened: Opened, workspace: Settings
) -> None:
    files = {f"{label}/{n}.jpg": plain_jpeg(n + 20 * at)
             for at, label in enumerate(("train", "bus")) for n in range(3)}  # fmt: skip
    source = ("vehicles.zip", zip_files(files).getvalue(), "application/zip")
    assert not bring(adding(opened), source).exception
    form = opened("Fine-tune", dataset=scan_datasets(workspace)[0][0].name)
    assert "classes with the name of a split: train." in texts(form).replace("\\", "")
    assert not any(button.label == "Start" for button in form.button)


def test_what_is_refused_says_why_and_the_files_stay(opened: Opened, workspace: Settings) -> None:
    at = adding(opened)
    assert all(words in texts(at) for words in ("50 MB", "500 MB", "20,000 files"))
    bring(at, ("a.txt", b"words", "text/plain"))
    assert "Expected at least one usable image" in at.error[0].value
    broken = ("broken.zip", b"PK\3\4 and no more", "application/zip")
    at.file_uploader(key="upload-0").set_value([broken]).run()
    assert "broken.zip" in at.error[0].value
    for name in ("../outside", "", "a/b", ".hidden"):
        bring(at, jpeg(1), name=name)
        assert not at.exception
        assert "Expected a name" in at.error[0].value
        assert at.file_uploader(key="upload-0").value
    assert [info.name for info in scan_datasets(workspace)[0]] == [SAMPLE_NAME]


def test_a_folder_on_the_server_only_where_it_is_allowed(
    opened: Opened, workspace: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at = adding(opened)
    source = "select-import_source"
    options = ["Files or archives", "A folder", "The camera"]
    assert at.segmented_control(key=source).options == options
    for name in ("folder", "camera"):
        at.segmented_control(key=source).set_value(name).run()
        assert not at.exception
    files = {f"garden/{name}/1.jpg": plain_jpeg(at) for at, name in enumerate("ab")}
    allowed = replace(workspace, server_folders=(write_folder(tmp_path / "open", files),))
    monkeypatch.setenv("TLCORE_SERVER_FOLDERS", allowed.to_environment()["TLCORE_SERVER_FOLDERS"])
    at = adding(opened)
    at.segmented_control(key=source).set_value("server").run()
    at.text_input(key="server-0").set_value("../").run()
    assert "Expected a folder inside" in at.error[0].value
    at.text_input(key="server-0").set_value("garden").run()
    press(at, "import")
    assert load_dataset("garden", workspace).counts == {"a": 1, "b": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """44 clean images in two classes, and some faults; the dataset's folder."""
    files = {f"{'ab'[i % 2]}/{i:02}.jpg": image(i) for i in range(44)}
    for fault in ("tiny", "placeholder", "truncated", "rotated"):
        files |= {f"a/{name.rpartition('/')[2]}": data for name, data in faults()[fault][1].items()}
    files["a/copy.jpg"] = image(0)
    home = tmp_path_factory.mktemp("mine")
    settings = Settings(home=home, keras_home=home)
    import_dataset("mine", incoming_from_uploads(files.items()), settings)
    return settings.datasets / "mine"


@pytest.fixture
def mine(made: Path, workspace: Settings) -> str:
    shutil.copytree(made, workspace.datasets / "mine")
    return "mine"


def view(opened: Opened, name: str, show_as: str = "") -> AppTest:
    at = opened("Upload", dataset="mine", view=name)
    if show_as:
        at.segmented_control(key="show-as").set_value(show_as).run()
    assert not at.exception
    return at


def test_problems_are_named_with_their_consequence_and_fixed(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    at = view(opened, "problems")
    shown = texts(at)
    for words in ("Tiny images", "a/tiny.png", "Empty or placeholder", "Exact duplicates",
                  "a/cut.jpg", "Rotated by their EXIF", "blur"):  # fmt: skip
        assert words in shown
    press(at, "fix-tiny")
    assert "a/tiny.png" not in {s.file for s in load_dataset(mine, workspace).samples}
    press(at, "keep-uniform")
    assert "uniform" not in load_quality(mine, workspace).open_findings
    press(at, "restore-uniform")
    assert "uniform" in load_quality(mine, workspace).open_findings
    for _ in range(3):
        press(at, "undo")
    assert load_state(mine, workspace).edits == ()
    assert "Tiny images" in texts(at)
    at.toggle(key="single-tiny").set_value(True).run()
    at.selectbox(key="one-label-tiny-0").set_value("b")
    press(at, "one-relabel-tiny-0")
    [tiny] = [s for s in load_dataset(mine, workspace).samples if s.file == "a/tiny.png"]
    assert tiny.label == "b"
    at.toggle(key="single-duplicate").set_value(True).run()
    press(at, "one-exclude-duplicate-0")
    assert "duplicate" not in load_quality(mine, workspace).by_kind


def test_like_names_missing_classes_and_split_recordings_are_mended_at_a_click(
    opened: Opened, workspace: Settings
) -> None:
    splits = {
        f"{'val' if at % 4 == 0 else 'train'}/{file}": encoded(image, "JPEG", quality=92)
        for at, (file, image) in enumerate(recordings(6).items())
    }
    names = [("Left", 1), ("Left", 2), ("up", 3), ("up", 4), ("up", 5)]
    splits |= {f"train/{label}/{seed}.jpg": plain_jpeg(seed) for label, seed in names}
    import_dataset("mine", incoming_from_uploads(splits.items()), workspace)
    form = opened("Fine-tune", dataset="mine")
    assert "No validation image shows Left, up" in texts(form)
    assert "stay together" in texts(form)
    at = view(opened, "problems")
    for words in ("'left' (12), 'Left' (2)", "No validation image shows Left, up",
                  "One recording or photograph in two splits"):  # fmt: skip
        assert words in texts(at)
    press(at, "fix-warning-0")
    assert load_dataset("mine", workspace).classes == ("left", "right", "up")
    press(at, "fix-recording")
    report = load_quality("mine", workspace)
    assert "recording" not in report.by_kind
    assert report.warnings == ()
    assert "4 groups" not in texts(view(opened, "splits"))
    assert "stay together" in texts(view(opened, "splits"))


def test_a_dataset_that_was_not_scanned_is(opened: Opened, workspace: Settings, mine: str) -> None:
    (workspace.datasets / mine / "image_facts.jsonl").unlink()
    at = view(opened, "problems")
    for _ in range(20):
        if not load_quality(mine, workspace).unscanned:
            break
        at.run()
    assert load_quality(mine, workspace).unscanned == 0
    assert "Tiny images" in texts(at.run())


def test_selected_images_are_labelled_and_excluded(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    at = view(opened, "images")
    select_in_grid(at, "grid-strip-0", 0, 2)
    at.selectbox(key="selection-label").set_value("b").run()
    press(at, "selection-relabel")
    assert load_dataset(mine, workspace).counts == {"a": 24, "b": 24}
    select_in_grid(at, "grid-strip-1", 1)
    press(at, "selection-exclude")
    assert len(load_dataset(mine, workspace).samples) == 47
    at.segmented_control(key="show-as").set_value("All images").run()
    at.selectbox(key="only-included").set_value("Excluded").run()
    press(at, "select-page")
    press(at, "selection-include")
    assert len(load_dataset(mine, workspace).samples) == 48
    assert ":material/check: " in texts(at)  # where one looks, with Undo
    press(at, "undo-last")
    assert len(load_dataset(mine, workspace).samples) == 47


def test_loose_images_are_to_be_labelled_and_what_is_left_is_said(
    opened: Opened, workspace: Settings
) -> None:
    files = [("daisy/3.jpg", jpeg(3)[1]), *(jpeg(n)[:2] for n in (1, 2))]
    import_dataset("loose", incoming_from_uploads(files), workspace)
    at = opened("Upload", dataset="loose")
    assert "**Now label them**: 2 of 3 images" in at.info[0].value
    at.segmented_control(key="show-as").set_value("All images").run()
    places = grid_of(at, "grid-gallery")["images"]
    loose = next(n for n, image in enumerate(places) if image["caption"] == UNLABELLED)
    select_in_grid(at, "grid-gallery", loose)
    at.selectbox(key="selection-label").set_value("daisy").run()
    press(at, "selection-relabel")
    assert "labelled daisy · 1 left without label" in at.toast[0].value
    captions = [image["caption"] for image in grid_of(at, "grid-gallery")["images"]]
    assert sorted(captions) == ["daisy", "daisy", UNLABELLED]


def test_the_images_are_counted_paged_and_filtered(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    def shown() -> int:
        return len(grid_of(at, "grid-gallery")["images"])

    at = view(opened, "images")
    for words in ("48 images", "2 classes", "26 / 22"):
        assert words in html_of(at)
    at.session_state["about-dataset"] = True  # what is folded
    at.run()
    assert len(at.get("plotly_chart")) == 1
    assert load_state(mine, workspace).dataset.hash in texts(at)
    press(at, "show-all-1")
    assert shown() == 22
    at = view(opened, "images", "All images")
    assert shown() == 40
    at.selectbox(key="only-label").set_value("b").run()
    assert shown() == 22
    at.selectbox(key="only-label").set_value("a").run()
    at.selectbox(key="only-kind").set_value("Tiny images").run()
    assert shown() == 1
    at.selectbox(key="only-label").set_value("b").run()
    assert "Remove a filter" in texts(at)


def test_a_class_is_renamed_merged_and_deleted(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    at = view(opened, "images")
    at.text_input(key="class-new").set_value("train").run()
    press(at, "class-rename")
    assert "Expected a class name" in at.error[0].value
    at.text_input(key="class-new").set_value("apples").run()
    press(at, "class-rename")
    assert set(load_dataset(mine, workspace).classes) == {"apples", "b"}
    at.selectbox(key="class-old").set_value("apples").run()
    assert at.selectbox(key="class-into-apples").options == ["b"]  # merging is a choice
    at.selectbox(key="class-into-apples").set_value("b").run()
    press(at, "class-merge")
    assert load_dataset(mine, workspace).counts == {"b": 48}
    press(at, "undo")
    at.selectbox(key="class-old").set_value("b").run()
    press(at, "class-delete")
    assert load_dataset(mine, workspace).counts == {"apples": 26}


def test_splits_are_shown_stored_and_removed(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    at = view(opened, "splits")
    assert "not split" in texts(at)
    key = f"mine-{len(load_state(mine, workspace).edits)}"
    at.slider(key=f"split-test-{key}").set_value(20).run()
    assert "It will be 30 training, 9 validation, 9 test." in texts(at)
    press(at, "split")
    splits = load_dataset(mine, workspace).counts_by_split
    assert set(splits) == {"train", "val", "test"}
    assert sum(splits["test"].values()) == 9
    assert "kept for the test" in texts(at)
    assert "5 test" in html_of(at)
    key = f"mine-{len(load_state(mine, workspace).edits)}"  # the sliders show the state
    assert at.slider(key=f"split-test-{key}").value == 19
    assert at.slider(key=f"split-val-{key}").value == 19
    assert at.button(key="split").label == "Re-split"
    press(at, "split-remove")
    assert set(load_dataset(mine, workspace).counts_by_split) == {None}


def test_a_dataset_is_renamed_and_deleted(opened: Opened, workspace: Settings, mine: str) -> None:
    at = view(opened, "images")
    at.text_input(key="rename-mine").set_value("yours")
    press(at, "rename")
    assert "yours" in [info.name for info in scan_datasets(workspace)[0]]
    assert at.selectbox(key="select-dataset").value == "yours"
    press(at, "dataset-delete")
    assert [info.name for info in scan_datasets(workspace)[0]] == [SAMPLE_NAME]


def test_all_excluded_is_said_and_nothing_breaks(
    opened: Opened, workspace: Settings, mine: str
) -> None:
    at = view(opened, "images")
    for _ in range(2):
        press(at, "class-delete")
    assert load_dataset(mine, workspace).samples == ()
    for name in ("problems", "splits"):
        view(opened, name)
    at = opened("Compare", dataset="mine")
    assert not at.exception
    assert "all are excluded" in at.error[0].value
