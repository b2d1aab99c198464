"""Compare with a head of one's own: answers, reasons, many images, links."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.images import write_patches
from tests.pages.conftest import Opened, html_of, texts
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import from_folder
from tlcore.datasets.splits import draw_stratified
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.provenance import list_samples
from tlcore.training.store import load_run_info
from tlcore.training.worker import execute_run

SET = "Patches"


@pytest.fixture(scope="module")
def trained(lasting: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real run of two classes on a small network; its id."""
    images = write_patches(tmp_path_factory.mktemp("set") / "patches", classes=2)
    import_dataset(SET, from_folder(images), lasting)
    config = RunConfig(dataset=SET, backbone="MobileNet-0.25", size=32, epochs=2)
    folder, lock = create_run(config, lasting)
    try:
        assert execute_run(folder, lasting).status == "finished"
    finally:
        os.close(lock)
    return folder.name


@pytest.fixture
def run(trained: str, lasting_workspace: Settings) -> str:
    """That run, in the home that the pages read."""
    return trained


def charts(at: AppTest) -> list[list[str]]:
    """The names of the bars of each chart."""
    specs = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    return [
        next(trace["text"] for trace in spec["data"] if trace["type"] == "scatter")
        for spec in specs
    ]


def test_both_answers_the_threshold_and_the_path(opened: Opened, run: str) -> None:
    at = opened("Compare", dataset=SET, run=run, top="7")
    assert not at.exception
    imagenet, head = charts(at)
    assert len(imagenet) == 7
    assert set(head) == {"blue", "green"}
    assert "points ahead of the next" in texts(at)
    assert "At this threshold it says" in texts(at)
    assert "7 × 7 × 1280" in html_of(at)  # read from the network on the left
    at.slider(key=f"threshold-{run}").set_value(99).run()
    assert "At this threshold it says **blue**" in texts(at)


def test_switching_the_pooling_shows_what_it_costs(opened: Opened, run: str) -> None:
    at = opened("Compare", dataset=SET, run=run)
    assert "1,281 parameters" in html_of(at)  # 1280 weights and a bias of one sigmoid unit
    at.button_group(key="select-pooling").set_value("flatten").run()
    assert f"{7 * 7 * 1280 + 1:,} parameters" in html_of(at)
    at.button_group(key="select-shapes_of").set_value("head").run()
    assert "1 × 1 × 256" in html_of(at)  # the run's own network at 32 pixels


def test_a_link_restores_the_reason_of_a_class(opened: Opened, run: str) -> None:
    address = {"set": SET, "run": run, "view": "why", "backbone": "MobileNet-0.5", "size": "160"}
    at = opened("Compare", **address, **{"class": "207", "head_class": "0"})
    assert not at.exception
    assert at.selectbox(key="select-backbone").value == "MobileNet-0.5"
    assert at.selectbox(key="select-class").value == "207"
    assert at.selectbox(key="select-head_class").value == "0"
    assert "golden retriever" in texts(at)
    assert texts(at).count("Grad-CAM of") == 2
    assert "5 × 5 places" in texts(at)
    at.selectbox(key="why-net-0-layer").set_value("conv_pw_5_relu").run()
    assert not at.exception
    assert "20 × 20 places" in texts(at)


def test_two_backbones_at_once(opened: Opened, run: str) -> None:
    at = opened("Compare", dataset=SET, run=run, second="MobileNet-0.25")
    assert not at.exception
    assert len(charts(at)) == 3


def test_its_percentages_are_measured_on_a_fair_draw(
    opened: Opened, lasting_workspace: Settings, tmp_path: Path
) -> None:
    """1,200 validation images of three classes in order: 500 of them, each class by its share."""
    write_patches(tmp_path / "many" / "train", each=4, side=16)
    write_patches(tmp_path / "many" / "val", each=400, side=8)
    config = RunConfig(str(tmp_path / "many"), backbone="MobileNet-0.25", size=32, epochs=2)
    folder, lock = create_run(config, lasting_workspace)
    assert execute_run(folder, lasting_workspace).status == "finished"
    os.close(lock)
    at = opened("Compare", run=folder.name)
    at.session_state[f"trust-{folder.name}"] = True
    at.run()
    assert not at.exception
    assert "On 500 of 1,200 validation images" in texts(at)
    drawn = draw_stratified(
        list_samples(load_run_info(folder.name, lasting_workspace), "val"), 500, 0
    )
    counts = Counter(sample.label for sample in drawn)
    assert set(counts) == {"blue", "green", "red"}
    assert all(count in (166, 167) for count in counts.values())


def test_many_images_from_start_to_table(opened: Opened, run: str) -> None:
    at = opened("Compare", dataset=SET, run=run, view="many")
    at.button(key="many-start").click().run()
    assert not at.exception
    for _ in range(3):
        at.run()
    frame = at.dataframe[0].value
    assert len(frame) == 16
    assert {"imagenet", "head", "agree", "disagreement", "group"} <= set(frame.columns)
    assert sorted(set(frame["split"])) == ["train", "val"]
    assert [metric.label for metric in at.metric][:2] == [
        ":blue[●] ImageNet alone, no head",
        ":orange[●] Your own head",
    ]
    assert len(at.get("download_button")) == 2


@pytest.mark.parametrize(
    "query", ["view", "top", "class", "head_class", "second", "heads", "size", "fit"]
)
def test_a_link_to_what_is_not_offered_opens(
    query: str, opened: Opened, workspace: Settings
) -> None:
    assert not opened("Compare", **{query: "gone"}).exception
