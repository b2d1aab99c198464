"""Compare, many images: predictions kept by content, labels as they stand, blanks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.images import write_patches
from tests.pages.conftest import Opened, texts
from tlcore.datasets.edits import exclude, relabel
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.sources import from_folder
from tlcore.datasets.store import load_dataset
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch
from tlcore.training.lifecycle import create_run, prepare_resume
from tlcore.training.provenance import list_samples
from tlcore.training.store import load_run_info
from tlcore.training.worker import execute_run
from tlcore.ui import services

SET = "Patches"
MANY = {"view": "many", "backbone": "MobileNet-0.25", "size": "128"}
CONFIG = RunConfig(SET, backbone="MobileNet-0.25", size=64, epochs=4, learning_rate=0.03)


@pytest.fixture
def run(real_workspace: Settings, tmp_path: Path) -> str:
    """A run that was stopped after its first epoch; its id."""
    import_dataset(SET, from_folder(write_patches(tmp_path / "patches", classes=2)), real_workspace)
    folder, lock = create_run(CONFIG, real_workspace)
    stop = lambda event: (folder / "stop").touch() if isinstance(event, Epoch) else None  # noqa: E731
    assert execute_run(folder, real_workspace, emit=stop).status == "stopped"
    os.close(lock)
    return folder.name


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Each question about many images: how many images, how many networks."""
    questions: list[tuple[int, int]] = []

    class Counting(services.Inference):
        def ask(self, task, *arguments):
            if task == "predict_batch":
                questions.append(tuple(map(len, arguments)))
            return super().ask(task, *arguments)

    monkeypatch.setattr(services, "Inference", Counting)
    return questions


def answered(at: AppTest) -> AppTest:
    """Press the button, and wait until all is answered."""
    at.button(key="many-start").click().run()
    for _ in range(3):
        at.run()
    assert not at.exception
    return at


def rows(at: AppTest, column: str) -> dict[str, object]:
    frame = at.dataframe[0].value
    return dict(zip(frame["file"], frame[column], strict=True))


def test_relabelled_exchanged_and_resumed_images_are_shown_as_they_stand(
    opened: Opened, run: str, real_workspace: Settings, asked: list[tuple[int, int]], tmp_path: Path
) -> None:
    """One session: each change asks for just what is new; no old label, no old model is shown."""
    at = answered(opened("Compare", dataset=SET, run=run, **MANY))
    assert asked == [(16, 2)]
    before = rows(at, "head_probability")
    at.run()
    assert asked == [(16, 2)]  # a second look asks no network

    first = min(load_dataset(SET, real_workspace).samples, key=lambda sample: sample.file)
    assert rows(at, "label")[first.file] == "blue"
    relabel(SET, [first.key], "green", real_workspace)
    at.run()
    assert not at.exception
    assert rows(at, "label")[first.file] == "green"
    assert asked == [(16, 2)]

    exclude(SET, [first.key], real_workspace)
    write_patches(tmp_path / "more", classes=1, each=1, side=40)
    shutil.move(tmp_path / "more" / "blue" / "00.png", tmp_path / "more" / "blue" / "new.png")
    add_to_dataset(SET, from_folder(tmp_path / "more"), real_workspace)
    at.run()
    assert not at.exception
    assert first.file not in rows(at, "label")
    assert at.button(key="many-start").label == "Answer the other 1 of 16 images"
    answered(at)
    assert "blue/new.png" in rows(at, "label")
    assert asked == [(16, 2), (1, 2)]

    folder, lock = prepare_resume(run, real_workspace)
    assert execute_run(folder, real_workspace).status == "finished"
    os.close(lock)
    at.run()
    assert at.button(key="many-start").label == "Answer 16 images"  # the old model's are not shown
    answered(at)
    assert asked == [(16, 2), (1, 2), (16, 1)]  # ImageNet's network has not changed
    after = rows(at, "head_probability")
    assert all(after[file] != before[file] for file in before.keys() & after.keys())


def test_images_without_label_are_not_wrong(
    opened: Opened, run: str, real_workspace: Settings, photos: list[Path], tmp_path: Path
) -> None:
    """Loose images, and a head that knows blue and green: nobody can know who is right."""
    (tmp_path / "loose").mkdir()
    for photo in photos[:4]:
        shutil.copy(photo, tmp_path / "loose")
    import_dataset("Loose", from_folder(tmp_path / "loose"), real_workspace)
    at = answered(opened("Compare", dataset="Loose", run=run, **MANY))
    for column in ("label", "head_correct", "agree", "disagreement"):
        assert at.dataframe[0].value[column].isna().all(), column
    assert "They agree on" not in [metric.label for metric in at.metric]
    assert "have no label" in texts(at)


def test_a_head_is_not_judged_by_images_that_it_learned_from_in_another_dataset(
    opened: Opened, run: str, real_workspace: Settings, tmp_path: Path
) -> None:
    for sample in list_samples(load_run_info(run, real_workspace), "train"):
        (tmp_path / "copy" / sample.label).mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.path, tmp_path / "copy" / sample.label)
    import_dataset("Copy", from_folder(tmp_path / "copy"), real_workspace)
    at = answered(opened("Compare", dataset="Copy", run=run, **MANY))
    assert [metric.label for metric in at.metric if "Your own head" in metric.label] == []
    assert "it has learned from these images" in texts(at)
    assert all(rows(at, "head_learned_from_it").values())
