"""Upload: what arrives, what is refused, and that a set stays."""

from __future__ import annotations

import io
import zipfile

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import Opened, html_of, texts
from tlcore.datasets.sample import SAMPLE_NAME, draw_sample
from tlcore.datasets.store import list_datasets, load_dataset
from tlcore.settings import Settings


def bring(at: AppTest, *files: tuple[str, bytes, str], **fields: str) -> AppTest:
    at.file_uploader(key="upload-0").set_value(list(files)).run()
    for key, value in fields.items():
        at.text_input(key=f"{key}-0").set_value(value)
    return at.button(key="take").click().run()


def jpeg(number: int, label: str = "daisy") -> tuple[str, bytes, str]:
    return f"{label} {number}.jpg", draw_sample(label, "train", number), "image/jpeg"


def zipped(**folders: int) -> tuple[str, bytes, str]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label, count in folders.items():
            for number in range(count):
                archive.writestr(f"{label}/{number}.jpg", draw_sample(label, "train", number))
    return "garden and sea.zip", buffer.getvalue(), "application/zip"


def test_good_files_become_a_set_and_bad_ones_are_named_with_their_reason(
    opened: Opened, workspace: Settings
) -> None:
    whole = jpeg(1)
    cut = ("cut *off*.jpg", whole[1][: len(whole[1]) // 2], "image/jpeg")
    at = bring(
        opened("Upload"),
        whole,
        ("notes.txt", b"no image at all", "text/plain"),
        cut,
        jpeg(2),
        name="garden",
        label="daisies",
    )
    assert not at.exception
    assert not at.error
    assert [s.label for s in load_dataset("garden", workspace).samples] == ["daisies"] * 2
    said = texts(at)
    assert "notes.txt" in said
    assert "cut \\*off\\*.jpg" in said
    assert "truncated or damaged" in said
    assert "2 images" in at.success[0].value


def test_a_zip_of_class_folders_keeps_its_classes_and_its_name(
    opened: Opened, workspace: Settings
) -> None:
    at = bring(opened("Upload"), zipped(daisy=3, sailboat=2))
    assert not at.exception
    assert load_dataset("garden and sea", workspace).counts == {"daisy": 3, "sailboat": 2}
    drawn = html_of(at)
    assert "daisy" in drawn
    assert "data:image/jpeg;base64," in drawn


def test_the_uploader_is_empty_afterwards_and_the_set_survives_a_reload(
    opened: Opened, workspace: Settings
) -> None:
    at = bring(opened("Upload"), jpeg(1), name="mine")
    assert at.file_uploader(key="upload-1").value == []
    again = opened("Upload")
    assert again.selectbox(key="select-dataset").value == "mine"
    assert not again.success


def test_files_can_be_added_to_a_set_that_is_there(opened: Opened, workspace: Settings) -> None:
    bring(opened("Upload"), jpeg(1), name="mine", label="daisy")
    at = opened("Upload")
    at.file_uploader(key="upload-0").set_value([jpeg(1, "sailboat")]).run()
    at.selectbox(key="into-0").set_value("mine").run()
    at.text_input(key="label-0").set_value("sailboat")
    at.button(key="take").click().run()
    assert load_dataset("mine", workspace).counts == {"daisy": 1, "sailboat": 1}


@pytest.mark.parametrize("name", ["../outside", "", "a/b", ".hidden"])
def test_a_name_that_is_not_allowed_is_refused_and_the_files_stay(
    name: str, opened: Opened, workspace: Settings
) -> None:
    at = bring(opened("Upload"), jpeg(1), name=name)
    assert not at.exception
    assert "Expected a name" in at.error[0].value
    assert [info.name for info in list_datasets(workspace)] == [SAMPLE_NAME]
    assert at.file_uploader(key="upload-0").value


def test_nothing_usable_says_why(opened: Opened, workspace: Settings) -> None:
    at = bring(opened("Upload"), ("a.txt", b"words", "text/plain"), name="empty")
    assert "Expected at least one usable image" in at.error[0].value


def test_a_damaged_zip_is_named(opened: Opened, workspace: Settings) -> None:
    at = bring(opened("Upload"), ("broken.zip", b"PK\3\4 and no more", "application/zip"))
    assert not at.exception
    assert "broken.zip" in at.error[0].value


def test_the_limits_are_stated_from_the_settings(opened: Opened, workspace: Settings) -> None:
    said = texts(opened("Upload"))
    assert "50 MB" in said
    assert "500 MB" in said
    assert "20,000 files" in said


def test_a_set_is_deleted_after_being_asked(opened: Opened, workspace: Settings) -> None:
    at = bring(opened("Upload"), jpeg(1), name="mine")
    at.button(key="delete").click().run()
    assert not at.exception
    assert "mine" not in [info.name for info in list_datasets(workspace)]


def test_a_image_of_many_kinds_is_shown(opened: Opened, workspace: Settings) -> None:
    """Palette with transparency, the kind that breaks a thumbnail."""
    buffer = io.BytesIO()
    Image.new("P", (40, 30)).save(buffer, "GIF", transparency=0)
    at = bring(opened("Upload"), ("flat.gif", buffer.getvalue(), "image/gif"), name="flat")
    assert not at.exception
    assert "flat.gif" in html_of(at)
