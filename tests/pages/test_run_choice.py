"""Which run answers: the one that was chosen, and none that has not learned these classes."""

from __future__ import annotations

import ast
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.evaluation.made import write_splits
from tests.exports.conftest import trained
from tests.images import write_patches
from tests.pages.conftest import Opened, texts, tick_runs, use
from tlcore.datasets.edits import rename_class
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder, incoming_from_uploads
from tlcore.datasets.store import load_dataset, rename_dataset
from tlcore.settings import PROJECT, Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.run import write_notes
from tlcore.training.status import FinalStatus, write_final_status
from tlcore.training.store import list_runs, load_run_info
from tlcore.ui.components.image_picker import MY_IMAGES

PATCHES, INSECTS = "Patches", "Insects"
SMALL = {"backbone": "MobileNet-0.25", "size": 32}
RUNS = 4
QUICK = {"backbone": "MobileNet-0.25"}  # on the left


def train_run(settings: Settings, dataset: str, epochs: int) -> str:
    """A real run on the real weights; its id."""
    config = RunConfig(dataset, epochs=epochs, learning_rate=0.01, **SMALL)
    return trained(config, settings)


@dataclass(frozen=True)
class Home:
    """Two datasets, and four runs on the first that have the same accuracy and recipe."""

    settings: Settings
    runs: tuple[str, ...]  # oldest first


@pytest.fixture(scope="module")
def made(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    place = tmp_path_factory.mktemp("choice")
    settings = Settings(home=place / "home", keras_home=shared / "keras")
    import_dataset(
        PATCHES, incoming_from_folder(write_patches(place / "patches", classes=2)), settings
    )
    counts = {"train": {"ants": 4, "bees": 4}}
    import_dataset(INSECTS, incoming_from_folder(write_splits(place / "insects", counts)), settings)
    runs = tuple(train_run(settings, PATCHES, epochs) for epochs in range(2, RUNS + 2))
    assert {load_run_info(run, settings).val_accuracy for run in runs} == {1.0}
    return Home(settings, runs)


@pytest.fixture
def home(made: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """It, for tests that only look."""
    use(made.settings, monkeypatch)
    return made


@pytest.fixture
def own_home(made: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """It, in a home of its own, for tests that change it."""
    shutil.copytree(made.settings.home, tmp_path / "own")
    settings = Settings(home=tmp_path / "own", keras_home=made.settings.keras_home)
    return Home(use(settings, monkeypatch), made.runs)


def named(at: AppTest, name: str) -> str:
    """What the page's address says."""
    value = at.query_params.get(name, "")
    return value if isinstance(value, str) else "".join(value)


def run_of(at: AppTest) -> str:
    return named(at, "run")


def by_plain_keras(home: Home, run: str, samples: list[Path]) -> np.ndarray:
    """What a run's saved network answers, asked without this product: (n,) of class 1."""
    import keras

    model = keras.models.load_model(home.settings.runs / run / "model.keras")
    pixels = np.stack([fit(read_image(path, home.settings.limits), 32, "crop") for path in samples])
    return np.asarray(model.predict(pixels / 127.5 - 1.0, verbose=0))[:, -1]


def test_the_newest_of_four_equal_runs_is_chosen_and_each_can_be(
    opened: Opened, home: Home
) -> None:
    at = opened("Compare", dataset=PATCHES, **QUICK)
    assert not at.exception
    assert run_of(at) == home.runs[-1]
    assert len(set(at.selectbox(key="select-head").options)) == RUNS
    for run in home.runs:
        at.selectbox(key="select-head").set_value(run).run()
        assert run_of(at) == run
    at.multiselect(key="select-more_heads").set_value([home.runs[2]]).run()
    assert not at.exception
    assert named(at, "heads") == home.runs[2]
    at.button_group(key="select-compare_view").set_value("many").run()
    assert run_of(at) == home.runs[-1]
    for dataset in (INSECTS, PATCHES):
        at.selectbox(key="select-dataset").set_value(dataset).run()
        assert run_of(at) == home.runs[-1]


def test_the_address_is_what_one_sees(opened: Opened, home: Home) -> None:
    first, last = home.runs[0], home.runs[-1]
    at = opened("Fine-tune", run=first, view="curves")
    assert (run_of(at), named(at, "view")) == (first, "curves")
    label = next(each.label for each in at.button if each.label.startswith("Delete "))
    assert label.startswith("Delete Patches ")  # what it deletes, for who hears it
    tick_runs(at, cell=0)  # of the list
    assert (run_of(at), named(at, "view")) == (last, "summary")
    at.button_group(key="select-run_view").set_value("export").run()
    assert named(at, "view") == "export"
    at.button(key="new-run").click().run()
    assert (run_of(at), named(at, "view")) == ("", "")

    at = opened("Fine-tune", dataset=INSECTS)
    assert at.selectbox(key="select-dataset").value == named(at, "dataset") == INSECTS
    at = opened("Fine-tune", run=first, view="export")
    at.query_params.clear()  # Back, from the run to the form
    at.run()
    assert (run_of(at), named(at, "view")) == ("", "")
    links = opened("Home").get("page_link")
    query = next(link.proto.query_string for link in links if first in link.proto.query_string)
    assert "view=" in query  # so that it opens on its own view, not on that of the last run


def test_the_table_of_answers_is_the_chosen_runs(opened: Opened, home: Home) -> None:
    chosen = home.runs[-1]
    at = opened("Compare", dataset=PATCHES, run=chosen, view="many", backbone="MobileNet-0.25")
    at.button(key="many-start").click().run()
    frame = at.dataframe[0].value.set_index("file")
    paths = {sample.file: sample.path for sample in load_dataset(PATCHES, home.settings).samples}
    shown = np.where(
        frame["head"] == "green", frame["head_probability"], 1 - frame["head_probability"]
    )
    files = [paths[name] for name in frame.index]
    expected = {run: by_plain_keras(home, run, files) for run in home.runs}
    nearest = min(expected, key=lambda run: float(np.abs(expected[run] - shown).max()))
    assert nearest == chosen


def test_steps_through_layers_keep_the_run(opened: Opened, home: Home) -> None:
    newest = home.runs[-1]
    at = opened("Feature maps", dataset=PATCHES, run=newest, network="head", **QUICK)
    at.button(key="next-layer").click().run()
    assert not at.exception
    at.button(key="next-layer").click().run()
    assert run_of(at) == newest


def test_a_dataset_without_a_head_of_its_own_is_answered_by_none(
    opened: Opened, home: Home
) -> None:
    at = opened("Compare", dataset=INSECTS, **QUICK)
    assert not at.exception
    assert "No head yet for “Insects”" in texts(at)
    assert any(button.label == "Train on these 2 classes" for button in at.button)
    assert run_of(at) == ""
    assert len(at.get("plotly_chart")) == 1  # ImageNet's answer alone
    at = opened("Compare", dataset=PATCHES, **QUICK)
    at.selectbox(key="select-dataset").set_value(INSECTS).run()
    assert run_of(at) == ""
    at = opened("Feature maps", dataset=INSECTS, network="head", **QUICK)
    assert "No run of your own yet on this dataset" in texts(at)


def test_the_newest_run_of_this_dataset_answers_not_the_newest_of_all(
    opened: Opened, own_home: Home
) -> None:
    own = train_run(own_home.settings, INSECTS, 2)
    later = train_run(own_home.settings, PATCHES, 9)
    at = opened("Compare", dataset=INSECTS, **QUICK)
    assert run_of(at) == own
    at.selectbox(key="select-dataset").set_value(PATCHES).run()
    assert run_of(at) == later


def test_a_head_of_other_classes_says_so_and_is_not_judged(opened: Opened, home: Home) -> None:
    at = opened("Compare", dataset=PATCHES, run=home.runs[0], **QUICK)
    assert texts(at).count("points ahead") == 2
    at.selectbox(key="select-dataset").set_value(INSECTS).run()
    for page in (at, opened("Compare", dataset=INSECTS, run=home.runs[0], **QUICK)):
        assert run_of(page) == home.runs[0]
        assert "This head predicts only blue and green." in texts(page)
        assert texts(page).count("points ahead") == 1  # ImageNet's alone
        assert "at this threshold" not in texts(page)
    at = opened("Compare", dataset=INSECTS, run=home.runs[0], view="many", **QUICK)
    assert "This head predicts only blue and green." in texts(at)


def test_ones_own_image_is_answered_by_the_head_that_answered_before(
    opened: Opened, own_home: Home
) -> None:
    file = next(iter(load_dataset(PATCHES, own_home.settings).samples)).path
    import_dataset(
        MY_IMAGES, incoming_from_uploads([("mine.png", file.read_bytes())]), own_home.settings
    )
    at = opened("Compare", dataset=PATCHES, **QUICK)
    at.selectbox(key="select-head").set_value(own_home.runs[1]).run()
    at.selectbox(key="select-dataset").set_value(MY_IMAGES).run()
    assert run_of(at) == own_home.runs[1]
    assert texts(at).count("points ahead") == 2  # nothing says that it cannot know it
    at = opened("Compare", dataset=PATCHES, **QUICK)
    at.selectbox(key="select-dataset").set_value(MY_IMAGES).run()
    assert run_of(at) == own_home.runs[-1]
    rename_dataset(PATCHES, "Colours", own_home.settings)  # it keeps its head
    assert run_of(opened("Compare", dataset="Colours", **QUICK)) == own_home.runs[-1]


def listed(settings: Settings, run: str, accuracy: float, name: str = "", **options: object) -> str:
    """A run as the list knows it, with an id of its own; its id."""
    folder, lock = create_run(RunConfig(PATCHES, **options), settings)
    write_json(folder / "provenance.json", {"data_hash": "f" * 64, "images": {"val": 48}})
    write_final_status(folder, FinalStatus("finished", 2.0, accuracy, val_loss=0.1, epochs=2))
    write_notes(folder, name, "", [])
    os.close(lock)
    folder.rename(folder.with_name(run))
    return run


def test_a_label_says_what_tells_runs_apart(opened: Opened, empty_workspace: Settings) -> None:
    settings = empty_workspace
    listed(settings, "20261126-060100-000001", 0.92, random_weights=True)
    shown = [link.proto.label for link in opened("Home").get("page_link")]
    assert "**92% · random weights · Patches · MobileNetV2**" in shown
    listed(settings, "20261126-054700-000001", 0.92)
    listed(settings, "20261126-054709-000001", 0.92)  # the same minute
    listed(settings, "20261126-054709-000002", 0.92)  # the same second
    listed(settings, "20261126-055500-000001", 0.921)  # reads the same
    listed(settings, "20261126-060000-000001", 0.92, fine_tune_epochs=3)
    listed(settings, "20261126-060200-000001", 0.92, name="night  shift")
    mended = listed(settings, "20261126-060300-000001", 0.92)
    write_json(settings.runs / mended / "parent_run.json", {"run": "20261126-054700-000001"})
    at = opened("Fine-tune")
    runs = [info.id for info in list_runs(settings)]
    assert dict(zip(runs, at.dataframe[0].value["Run"].tolist(), strict=True)) == {
        "20261126-054700-000001": "26 Nov 05:47:00 · Patches · MobileNetV2",
        "20261126-054709-000001": "20261126-054709-000001 · Patches · MobileNetV2",
        "20261126-054709-000002": "20261126-054709-000002 · Patches · MobileNetV2",
        "20261126-055500-000001": "26 Nov 05:55 · Patches · MobileNetV2",
        "20261126-060000-000001": "Patches · MobileNetV2 · top blocks too",
        "20261126-060100-000001": "random weights · Patches · MobileNetV2",
        "20261126-060200-000001": "night shift · Patches · MobileNetV2",
        "20261126-060300-000001": "Patches · MobileNetV2 · corrected labels",
    }
    at = opened("Home")  # the newest on ImageNet's weights first; what is unusual stands beside it
    cards = [caption.value for caption in at.caption if "took 2.0 s" in caption.value]
    assert [("fine-tuning epochs 3" in card) for card in cards] == [False, False, True, False]
    assert len([link for link in at.get("page_link") if "random weights" in link.proto.label]) == 0


@pytest.mark.parametrize("name", ["Drawn sample", "Drawn  sample"])
def test_two_datasets_of_one_title_are_two_options(
    opened: Opened, workspace: Settings, name: str, tmp_path: Path
) -> None:
    import_dataset(
        name, incoming_from_folder(write_patches(tmp_path / "patches", classes=2)), workspace
    )
    at = opened("Upload")
    box = at.selectbox(key="select-dataset")
    assert len({" ".join(each.split()) for each in box.options}) == len(box.options) == 2
    for other in ("Sample - drawn images", name):
        at.selectbox(key="select-dataset").set_value(other).run()
        assert named(at, "dataset") == other


def test_classes_that_read_alike_are_told_apart(
    opened: Opened, empty_workspace: Settings, tmp_path: Path
) -> None:
    """great_owl and great owl are both shown as "great owl"; a class may be called All."""
    folder = write_patches(tmp_path / "patches")
    for old, new in (("blue", "great_owl"), ("green", "great owl"), ("red", "All")):
        (folder / old).rename(folder / new)
    import_dataset("Birds", incoming_from_folder(folder), empty_workspace)
    rename_class("Birds", "All", "All classes", empty_workspace)
    at = opened("Compare", dataset="Birds")
    for name in ("great_owl", "great owl", "All classes"):
        at.selectbox(key="select-class_filter").set_value(name).run()
        assert not at.exception
        assert f"**{name.replace('_', ' ')}**" in texts(at)
        chosen = load_dataset("Birds", empty_workspace).samples
        assert named(at, "image") in {s.sha256 for s in chosen if s.label == name}


OPTIONS = {"selectbox", "multiselect", "radio", "pills", "segmented_control", "select_slider"}


def test_no_menu_of_the_product_words_its_options_by_itself() -> None:
    """Streamlit returns the label: without ``unique_labels`` the first of two equal ones wins."""
    for path in sorted((PROJECT / "tlcore" / "ui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                words = [key.value for key in node.keywords if key.arg == "format_func"]
                if node.func.attr in OPTIONS and words:
                    assert ast.unparse(words[0]).startswith("unique_labels("), (
                        f"{path}:{node.lineno}"
                    )
