"""Pages on a disk that is full or read-only: every page opens, and what fails says why."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pages.conftest import PAGES, Opened, use
from tests.pages.test_upload import adding, bring, jpeg
from tests.small_disk import fill, free, make_read_only
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.store import load_dataset, scan_datasets
from tlcore.settings import Settings


@pytest.fixture
def settings_there(
    disk: Path, tmp_path: Path, sample_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A home on the small disk, with the sample."""
    settings = Settings(home=disk / "home", keras_home=tmp_path)
    shutil.copytree(sample_folder, settings.datasets / SAMPLE_NAME)
    return use(settings, monkeypatch)


@pytest.mark.parametrize("fault", [fill, make_read_only])
def test_every_page_opens(
    fault: Callable[[Path], None], opened: Opened, settings_there: Settings, disk: Path
) -> None:
    fault(disk)
    for name in PAGES:
        at = opened(name)
        assert not at.exception, name
        assert not at.error, name


@pytest.mark.parametrize("fault", [fill, make_read_only])
def test_what_cannot_be_stored_is_said_and_changes_nothing(
    fault: Callable[[Path], None], opened: Opened, settings_there: Settings, disk: Path
) -> None:
    cause = "The disk is full. Free some space" if fault is fill else "The disk is read-only."
    upload = adding(opened)
    label = opened("Upload", dataset=SAMPLE_NAME, view="images")
    tune = opened("Fine-tune", dataset=SAMPLE_NAME)
    tune.button(key="random-MobileNetV2").click().run()
    before = load_dataset(SAMPLE_NAME, settings_there)
    fault(disk)

    bring(upload, jpeg(1), jpeg(2), name="garden")
    assert cause in "\n".join(error.value for error in upload.error)

    label.text_input(key="class-new").set_value("flowers").run()
    label.button(key="class-rename").click().run()
    [words] = [error.value for error in label.error]
    assert cause in words
    assert "dataset" in words

    start = next(button for button in tune.button if "Start" in button.label)
    start.click().run()
    words = "could not be started" if fault is fill else "Nothing can be written"
    assert words in "\n".join(error.value for error in tune.error)

    for at in (upload, label, tune):
        assert not at.exception
    assert [info.name for info in scan_datasets(settings_there)[0]] == [SAMPLE_NAME]
    assert load_dataset(SAMPLE_NAME, settings_there) == before
    assert not settings_there.runs.exists() or list(settings_there.runs.glob("[!.]*")) == []
    if fault is fill:
        free(disk)
        upload.button(key="import").click().run()  # once more, with what is chosen already
        assert [error.value for error in upload.error] == []
        assert len(load_dataset("garden", settings_there).samples) == 2
