"""Folders on the server: only what the settings allow, and no way out by a link."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.datasets.files import jpeg, write_folder
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_server_folder
from tlcore.errors import BadDataset
from tlcore.settings import Settings


@pytest.fixture
def allowed(settings: Settings, tmp_path: Path) -> Settings:
    write_folder(tmp_path, {"open/set/ants/1.jpg": jpeg(1), "secret/ants/2.jpg": jpeg(2)})
    (tmp_path / "open" / "set" / "ants" / "link.jpg").symlink_to(tmp_path / "secret/ants/2.jpg")
    (tmp_path / "open" / "way").symlink_to(tmp_path / "secret")
    return replace(settings, server_folders=(tmp_path / "open",))


def test_an_allowed_folder_is_read_by_either_kind_of_path(
    allowed: Settings, tmp_path: Path
) -> None:
    for text in ("set", str(tmp_path / "open" / "set"), " set/ "):
        files = incoming_from_server_folder(text, allowed)
        assert [item.file for item in files] == ["ants/1.jpg", "ants/link.jpg"]
    report = import_dataset("mine", files, allowed)
    assert [sample.file for sample in report.dataset.samples] == ["ants/1.jpg"]
    assert "leads out" in report.refused[0].reason


@pytest.mark.parametrize("text", ["..", "../secret", "/", "way", "set/../../secret", "~", "a\0b"])
def test_others_are_refused(text: str, allowed: Settings) -> None:
    with pytest.raises(BadDataset, match="Expected a"):
        incoming_from_server_folder(text, allowed)


def test_without_the_setting_nothing_is_allowed(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="TLCORE_SERVER_FOLDERS"):
        incoming_from_server_folder(str(tmp_path), settings)


def test_the_setting_is_read_and_handed_on(tmp_path: Path) -> None:
    environ = {"TLCORE_SERVER_FOLDERS": f"{tmp_path}:{tmp_path / 'b'}:"}
    settings = Settings.from_environment(environ)
    assert settings.server_folders == (tmp_path, tmp_path / "b")
    assert Settings.from_environment(settings.to_environment()) == settings
    assert Settings.from_environment({}).server_folders == ()
