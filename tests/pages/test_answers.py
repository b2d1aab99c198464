"""Compare and Feature maps with a network that answers, with real and with random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import Opened, maps_of, texts
from tlcore.models.catalog import BACKBONES
from tlcore.settings import Settings


def bars(at: AppTest, place: int = 0) -> tuple[list[str], list[float]]:
    """The names and the lengths of the bars of one chart."""
    spec = json.loads(at.get("plotly_chart")[place].proto.spec)
    names = next(trace["text"] for trace in spec["data"] if trace["type"] == "scatter")
    lengths = next(t["x"] for t in spec["data"] if t.get("name") == "probability")
    return names, lengths


def test_the_network_recognises_the_sample(opened: Opened, lasting_workspace: Settings) -> None:
    at = opened("Compare")
    assert not at.exception
    names, lengths = bars(at)
    assert names[0] == "balloon"
    assert len(names) == 5
    assert lengths == sorted(lengths, reverse=True)
    assert len(at.dataframe[0].value) == 1000
    assert "No head of your own yet" in texts(at)


def test_more_bars_another_size_and_geometry(opened: Opened, lasting_workspace: Settings) -> None:
    at = opened("Compare")
    at.slider(key="select-top_classes").set_value(12).run()
    at.selectbox(key="select-size").set_value("160").run()
    names, _ = bars(at)
    assert len(names) == 12
    assert "160 × 160" in texts(at)
    assert "weights trained at 224 px" in texts(at).lower()


def test_a_better_weight_file_is_asked_as_soon_as_it_is_here(
    opened: Opened, workspace: Settings, shared: Path
) -> None:
    """In one session, without a restart: the answer of the file of another size is not kept."""
    name = "mobilenet_2_5_{}_tf.h5"
    workspace.weights.mkdir(parents=True)
    shutil.copyfile(
        shared / "keras/models" / name.format(128), workspace.weights / name.format(128)
    )
    at = opened("Compare", backbone="MobileNet-0.25", size="160")
    assert "weights trained at 128 px, used at 160 px" in texts(at).lower()
    shutil.copyfile(
        shared / "keras/models" / name.format(128), workspace.weights / name.format(160)
    )
    at.run()
    assert not at.exception
    assert "weights trained at" not in texts(at).lower()


def test_random_weights_are_labelled(opened: Opened, workspace: Settings) -> None:
    at = opened("Compare", backbone="MobileNet-0.25")
    assert not at.get("plotly_chart")
    at.button(key="random-MobileNet-0.25").click().run()
    assert not at.exception
    assert len(bars(at)[0]) == 5
    assert "Random weights" in texts(at)


def test_maps_of_the_second_stage_come_first_and_the_walk_goes_on(
    opened: Opened, lasting_workspace: Settings
) -> None:
    at = opened("Feature maps")
    assert not at.exception
    layer = at.selectbox(key="select-layer")
    assert layer.value == BACKBONES["MobileNetV2"].layers[1]
    assert len(layer.options) == 154
    assert maps_of(at).count('title="Channel ') == 24
    at.button(key="next-layer").click().run()
    assert at.selectbox(key="select-layer").value == "block_3_expand"
    assert maps_of(at).count('title="Channel ') == 32
    assert "1–32 of 144 channels" in texts(at)


def test_a_link_restores_the_layer(opened: Opened, lasting_workspace: Settings) -> None:
    at = opened("Feature maps", backbone="MobileNetV2", layer="out_relu")
    assert at.selectbox(key="select-layer").value == "out_relu"
    assert "each 7 × 7" in texts(at)


@pytest.mark.parametrize("page", ["Compare", "Feature maps"])
def test_a_worker_that_is_killed_costs_nothing(
    page: str, opened: Opened, lasting_workspace: Settings
) -> None:
    import os
    import signal

    from tlcore.ui.services import inference

    at = opened(page)
    os.kill(inference(lasting_workspace).process_id, signal.SIGKILL)
    at.button(key="next").click().run()
    assert not at.exception
    assert not at.error
