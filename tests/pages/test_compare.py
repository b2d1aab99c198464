"""Compare: answers and Grad-CAM maps of one image; many images by content and model; links."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from tests.exports.conftest import trained as trained_run
from tests.images import write_patches
from tests.pages.conftest import Opened, grid_of, html_of, maps_of, texts
from tlcore.datasets.edits import exclude, relabel
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.datasets.splits import draw_stratified
from tlcore.datasets.store import load_dataset
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch
from tlcore.training.lifecycle import create_run, prepare_resume
from tlcore.training.provenance import list_samples
from tlcore.training.store import load_run_info
from tlcore.training.worker import execute_run
from tlcore.ui import inference_requests, services
from tlcore.ui.compare import batch

DATASET = "Patches"
SMALL = {"backbone": "MobileNet-0.25", "size": "128"}
MANY = {"view": "many", **SMALL}


@pytest.fixture(scope="module")
def trained(lasting: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real run of two classes on a small network; its id."""
    images = write_patches(tmp_path_factory.mktemp("set") / "patches", classes=2)
    import_dataset(DATASET, incoming_from_folder(images), lasting)
    return trained_run(RunConfig(DATASET, backbone="MobileNet-0.25", size=32, epochs=2), lasting)


@pytest.fixture
def run(trained: str, lasting_workspace: Settings) -> str:
    """That run, in the home that the pages read."""
    return trained


def counted(monkeypatch: pytest.MonkeyPatch, *tasks: str) -> list[tuple[Any, ...]]:
    """The arguments of each request for one of these tasks, from now on."""
    made: list[tuple[Any, ...]] = []

    class Counting(services.Inference):
        def ask(self, task, *arguments):
            if task in tasks:
                made.append(arguments)
            return super().ask(task, *arguments)

    monkeypatch.setattr(services, "Inference", Counting)
    return made


def charts(at: AppTest) -> list[list[str]]:
    """The names of the bars of each chart."""
    specs = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    return [
        next(trace["text"] for trace in spec["data"] if trace["type"] == "scatter")
        for spec in specs
    ]


def test_the_network_recognises_the_sample_though_its_worker_is_killed(
    opened: Opened, lasting_workspace: Settings
) -> None:
    at = opened("Compare")
    assert not at.exception
    spec = json.loads(at.get("plotly_chart")[0].proto.spec)
    lengths = next(trace["x"] for trace in spec["data"] if trace.get("name") == "probability")
    assert charts(at)[0][0] == "balloon"
    assert len(lengths) == 3
    assert lengths == sorted(lengths, reverse=True)
    assert "No head yet for" in texts(at)
    assert "<b>balloon</b>" in html_of(at)
    at.session_state["class-table"] = True  # unfolded
    at.selectbox(key="select-top_classes").set_value("10").run()
    assert len(charts(at)[0]) == 10
    assert len(at.dataframe[0].value) == 1000
    other = opened("Compare", size="150")  # no size of the list; AppTest types none
    assert "150 px, crop" in texts(other).replace("\u00a0", " ")
    other.session_state["model-summary"] = True  # unfolded
    assert "**2,257,984 parameters**: 0 trainable, 2,257,984 frozen" in texts(other.run())
    assert "Total params: 2,257,984" in other.code[0].value
    refused = opened("Compare", size="20")
    assert "from 32 to 1024 px for MobileNetV2" in refused.toast[0].value

    os.kill(services.inference(lasting_workspace).process_id, signal.SIGKILL)
    at.button(key="next").click().run()  # a worker that is killed costs nothing
    assert not at.exception
    assert not at.error


def test_a_better_weight_file_is_used_as_soon_as_it_is_here(
    opened: Opened, workspace: Settings, shared: Path
) -> None:
    """In one session, without a restart: the answer of the file of another size is not kept."""
    name = "mobilenet_2_5_{}_tf.h5"
    file = shared / "keras/models" / name.format(128)
    workspace.weights.mkdir(parents=True)
    shutil.copyfile(file, workspace.weights / name.format(128))
    at = opened("Compare", backbone="MobileNet-0.25", size="160")
    assert "weights trained at 128 px, used at 160 px" in texts(at).lower()
    shutil.copyfile(file, workspace.weights / name.format(160))
    at.run()
    assert not at.exception
    assert "weights trained at" not in texts(at).lower()


def test_random_weights_at_any_size_are_labelled_also_for_who_gets_the_link(
    opened: Opened, workspace: Settings, tmp_path: Path
) -> None:
    import_dataset(
        DATASET, incoming_from_folder(write_patches(tmp_path / "two", classes=2)), workspace
    )
    at = opened("Compare", dataset=DATASET, backbone="Xception", size="200")
    assert not at.get("plotly_chart")
    at.button(key="random-Xception").click().run()
    assert not at.exception
    link = {name: "".join(value) for name, value in at.query_params.items()}
    at = opened("Compare", **link)
    assert len(charts(at)[0]) == 3
    assert "Random weights" in texts(at)
    at.session_state["shapes"] = True  # unfolded
    path = html_of(at.run())
    assert "7 × 7 × 2048" in path
    assert "one sigmoid unit for two classes" in path
    names = ("dataset", "image", "backbone", "size", "random")
    maps = opened("Feature maps", **{name: link[name] for name in names}, layer="block1_conv1")
    assert maps_of(maps).count("data-pick=") == 32
    assert "99 × 99" in texts(maps)


def test_both_answers_on_an_unseen_image_the_threshold_and_the_path(
    opened: Opened, run: str, lasting: Settings
) -> None:
    at = opened("Compare", dataset=DATASET, run=run, top="7", **SMALL)
    assert not at.exception
    imagenet, head = charts(at)
    assert len(imagenet) == 7
    assert set(head) == {"blue", "green"}
    assert texts(at).count("points ahead") == 2
    trained_on = {s.sha256 for s in list_samples(load_run_info(run, lasting), "train")}
    assert "".join(at.query_params["image"]) not in trained_on  # the page opens on an unseen one
    assert "· not seen in training" in texts(at)
    assert texts(at).count("cells ") == 2  # exact contributions of both
    assert "Grad-CAM" not in texts(at)
    assert "Class and layer" in [box.label for box in at.expander]  # beside the maps, not over them
    assert re.match(r"\w+, image 1 of 16: ", grid_of(at, "strip")["images"][0]["title"])
    assert {"seen", "not seen"} == {
        each["title"].rsplit(", ", 1)[1].removesuffix(" in training")
        for each in grid_of(at, "strip")["images"]
    }

    at.session_state["shapes"] = True  # unfolded
    at.slider(key=f"threshold-{run}").set_value(99)
    at.toggle(key="unseen-only").set_value(True).run()
    assert "the prediction is **blue**" in texts(at)
    assert f"of {16 - len(trained_on)}" in texts(at)
    assert "1 × 1 × 256" in html_of(at)  # the run's own network at 32 pixels comes first
    at.button_group(key="select-shapes_of").set_value("pretrained").run()
    assert "4 × 4 × 256" in html_of(at)
    assert "257 parameters" in html_of(at)  # 256 weights and a bias of one sigmoid unit
    at.button_group(key="select-pooling").set_value("flatten").run()
    assert f"{4 * 4 * 256 + 1:,} parameters" in html_of(at)
    at.button_group(key="select-fit").set_value("squash").run()
    assert "Your head was trained with *crop*" in texts(at)
    assert "· squash" in texts(at)


def test_a_link_restores_the_models_and_classes_by_one_request(
    opened: Opened, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = counted(monkeypatch, "predict", "explain")
    address = {"dataset": DATASET, "run": run, "backbone": "MobileNet-0.5", "size": "160"}
    chosen = {"second": "MobileNet-0.25", "class": "207", "head_class": "0"}
    at = opened("Compare", **address, **chosen)
    at.session_state["class-and-layer"] = True  # opened
    at.run()
    assert not at.exception
    assert len(charts(at)) == 3
    assert [len(models) for _, models in requests] == [3, 3]
    values = [
        at.selectbox(key=f"select-{key}").value for key in ("backbone", "class", "head_class")
    ]
    assert values == ["MobileNet-0.5", "207", "0"]
    assert "**golden retriever**" in texts(at)
    assert "25 cells " in texts(at)
    at.selectbox(key="gradcam-layer-MobileNet-0.5").set_value("conv_pw_5_relu").run()
    assert not at.exception
    assert "20 × 20 places" in texts(at)
    assert [len(models) for _, models in requests] == [3, 3, 3]  # predictions are not asked again


def test_its_percentages_are_measured_on_a_stratified_draw(
    opened: Opened, lasting_workspace: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """120 validation images of three classes in order: 50 of them, each class by its share."""
    monkeypatch.setattr(inference_requests, "CALIBRATION_IMAGES", 50)
    write_patches(tmp_path / "many" / "train", each=4, side=16)
    write_patches(tmp_path / "many" / "val", each=40, side=8)
    config = RunConfig(str(tmp_path / "many"), backbone="MobileNet-0.25", size=32, epochs=1)
    run = trained_run(config, lasting_workspace)
    at = opened("Compare", run=run, **SMALL)
    at.session_state[f"calibration-{run}"] = True  # unfolded
    at.run()
    assert not at.exception
    assert "On 50 of 120 validation images" in texts(at)
    assert "A head always answers one of its classes" in texts(at)
    samples = list_samples(load_run_info(run, lasting_workspace), "val")
    counts = Counter(sample.label for sample in draw_stratified(samples, 50, 0))
    assert sorted(counts) == ["blue", "green", "red"]
    assert sorted(counts.values()) == [16, 17, 17]


# Many images


@pytest.fixture
def stopped_run(real_workspace: Settings, tmp_path: Path) -> str:
    """A run that was stopped after its first epoch; its id."""
    images = write_patches(tmp_path / "patches", classes=2)
    import_dataset(DATASET, incoming_from_folder(images), real_workspace)
    config = RunConfig(DATASET, backbone="MobileNet-0.25", size=64, epochs=4, learning_rate=0.03)
    folder, lock = create_run(config, real_workspace)
    stop = lambda event: (folder / "stop").touch() if isinstance(event, Epoch) else None  # noqa: E731
    assert execute_run(folder, real_workspace, emit=stop).status == "stopped"
    os.close(lock)
    return folder.name


def predicted(at: AppTest) -> AppTest:
    at.button(key="many-start").click().run()
    assert not at.exception
    return at


def column(at: AppTest, name: str) -> dict[str, object]:
    table = at.dataframe[0].value
    return dict(zip(table["file"], table[name], strict=True))


def accuracies(at: AppTest) -> list[str]:
    """The names in the chart of accuracies."""
    specs = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    texts = [trace for trace in specs[0]["data"] if trace["type"] == "scatter"]
    return [trace["text"][0] for trace in texts if trace["textposition"] == "middle right"]


def test_many_images_relabelled_exchanged_or_with_a_resumed_run_are_shown_as_they_stand(
    opened: Opened,
    stopped_run: str,
    real_workspace: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """One session: each change needs just what is new; no old label, no old model is shown."""
    requests = counted(monkeypatch, "predict_batch")
    at = predicted(opened("Compare", dataset=DATASET, run=stopped_run, **MANY))
    table = at.dataframe[0].value
    assert len(table) == 16
    assert {"imagenet", "head", "agree", "disagreement", "group"} <= set(table.columns)
    assert sorted(set(table["split"])) == ["train", "val"]
    assert accuracies(at) == ["ImageNet alone, no head", "Your head"]
    assert len(at.get("download_button")) == 2
    before = column(at, "head_probability")
    first = min(load_dataset(DATASET, real_workspace).samples, key=lambda sample: sample.file)
    assert column(at, "label")[first.file] == "blue"
    relabel(DATASET, [first.key], "green", real_workspace)
    at.run()
    assert not at.exception
    assert column(at, "label")[first.file] == "green"

    exclude(DATASET, [first.key], real_workspace)
    write_patches(tmp_path / "more", classes=1, each=1, side=40)
    shutil.move(tmp_path / "more" / "blue" / "00.png", tmp_path / "more" / "blue" / "new.png")
    add_to_dataset(DATASET, incoming_from_folder(tmp_path / "more"), real_workspace)
    at.run()
    assert not at.exception
    assert first.file not in column(at, "label")
    assert at.button(key="many-start").label == "Predict the other 1 of 16 images"
    predicted(at)
    assert "blue/new.png" in column(at, "label")
    folder, lock = prepare_resume(stopped_run, real_workspace)
    assert execute_run(folder, real_workspace).status == "finished"
    os.close(lock)
    at.run()
    assert at.button(key="many-start").label == "Predict 16 images"  # not the old model's answers
    predicted(at)
    sizes = [(len(files), len(models)) for files, models in requests]
    assert sizes == [(16, 2), (1, 2), (16, 1)]  # at last ImageNet's network has not changed
    after = column(at, "head_probability")
    assert all(after[file] != before[file] for file in before.keys() & after.keys())
    at.button_group(key="select-fit").set_value("pad").run()  # other pixels: predicted again
    assert at.button(key="many-start").label == "Predict 16 images"


def test_a_batch_that_was_stopped_goes_on_where_it_was(
    opened: Opened, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def predict(paths: Sequence[Path], refs: object, settings: Settings) -> Any:
        if len(asked) == 8:  # what a click on Stop does
            asked.append("stop")
            raise StopException
        asked.extend(path.name for path in paths)
        return inference_requests.predict_batch(paths, refs, settings)

    monkeypatch.setattr(batch, "CHUNK", 4)
    monkeypatch.setattr(batch, "predict_batch", predict)
    at = opened("Compare", dataset=DATASET, run=run, **MANY)
    at.button(key="many-start").click().run()
    at.run()
    assert at.button(key="many-start").label == "Predict the other 8 of 16 images"
    predicted(at)
    assert len(asked) == 17  # each once, and the stop
    assert len(at.dataframe[0].value) == 16


def test_images_without_label_or_of_the_training_split_are_not_judged(
    opened: Opened, run: str, lasting_workspace: Settings, photos: list[Path], tmp_path: Path
) -> None:
    """Loose images have no right answer; copies of training images judge nobody."""
    (tmp_path / "loose").mkdir()
    for photo in photos[:4]:
        shutil.copy(photo, tmp_path / "loose")
    import_dataset("Loose", incoming_from_folder(tmp_path / "loose"), lasting_workspace)
    at = predicted(opened("Compare", dataset="Loose", run=run, **MANY))
    for name in ("label", "head_correct", "agree", "disagreement"):
        assert at.dataframe[0].value[name].isna().all(), name
    assert "Both agree on" not in texts(at)
    assert "have no label" in texts(at)

    for sample in list_samples(load_run_info(run, lasting_workspace), "train"):
        (tmp_path / "copy" / sample.label).mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.path, tmp_path / "copy" / sample.label)
    import_dataset("Copy", incoming_from_folder(tmp_path / "copy"), lasting_workspace)
    at = predicted(opened("Compare", dataset="Copy", run=run, **MANY))
    assert accuracies(at) == ["ImageNet alone, no head"]
    assert "it was trained on these images" in texts(at)
    assert all(column(at, "head_learned_from_it").values())
