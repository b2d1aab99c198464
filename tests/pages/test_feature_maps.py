"""Feature maps: the layer and its channel, tabs, links, with a real run; what is not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.cli.running import answer
from tests.images import write_patches
from tests.pages.conftest import Opened, html_of, maps_of, texts
from tests.pages.test_upload import jpeg
from tlcore.activations.layers import LayerInfo
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.models.summary import Layer
from tlcore.settings import Settings
from tlcore.ui.components.image_picker import MY_IMAGES
from tlcore.ui.feature_maps import more

BASE = ("--backbone", "MobileNet-0.25", "--size", "128")
SMALL = {"backbone": "MobileNet-0.25", "size": "128"}


@pytest.fixture(scope="module")
def run(lasting: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real tiny run whose last blocks were fine-tuned."""
    data = write_patches(tmp_path_factory.mktemp("run") / "set", classes=2, each=4)
    stages = ("--epochs", "1", "--fine-tune-epochs", "1", "--learning-rate", "0.01")
    return str(answer(lasting, "train", data, *BASE, *stages)["run"])


def text_of(at: AppTest) -> str:
    labels = [button.label for button in at.button]
    return "\n".join([texts(at), *labels, *(element.value for element in at.success)])


def sound(at: AppTest) -> AppTest:
    assert not at.exception
    assert not at.error
    return at


def choose(at: AppTest, **choices: str) -> AppTest:
    for choice, value in choices.items():
        at.session_state[f"_chosen_{choice}"] = value
    return sound(at.run())


def set_state(at: AppTest, key: str, value: object) -> AppTest:
    at.session_state[key] = value
    return sound(at.run())


def test_the_first_activation_comes_first_and_the_strongest_channel_is_large(
    opened: Opened, lasting_workspace: Settings
) -> None:
    at = sound(opened("Feature maps"))
    layer = at.selectbox(key="select-layer")
    assert layer.value == "Conv1_relu"
    assert len(layer.options) == 154
    assert maps_of(at).count('title="Channel ') == 32
    assert "**ReLU6** Sets negative values to zero, cuts off at 6" in texts(at)
    strongest = maps_of(at).split('title="Channel ')[1].split(":")[0]
    assert f"**Channel {strongest}** of 32" in texts(at)
    assert "Strongest at row" in texts(at)
    assert 'class="box"' in html_of(at)
    at.button(key="next-layer").click().run()
    assert at.selectbox(key="select-layer").value == "expanded_conv_depthwise"
    choose(at, layer="block_3_expand")
    assert "**Conv2D 1×1** Mixes the channels of one pixel" in texts(at)
    assert maps_of(at).count('title="Channel ') == 32
    assert "1–32 of 144 channels" in texts(at)
    tabs = {"statistics": "dead channels", "before": "No run of your own yet"}
    for tab, words in tabs.items():
        choose(at, maps_view=tab)
        assert words in text_of(at), tab
        if tab == "statistics":  # one point a block, without the comb of its layers
            lines = json.loads(at.get("plotly_chart")[0].proto.spec)["data"]
            assert [len(line["x"]) for line in lines] == [20, 20]
    choose(at, layer="block_16_project")
    assert "491 × 491 pixels, more than the image has" in texts(at)
    set_state(at, "all-layers", True)
    assert list(at.dataframe[0].value["layer"][:2]) == ["input_layer", "Conv1"]
    at.text_input(key="layer-search").set_value("depthwiseconv")
    found = sound(at.run()).dataframe[0].value
    assert len(found) == 17
    assert set(found["type"]) == {"DepthwiseConv2D"}
    at.text_input(key="layer-search").set_value("BLOCK_13")  # a block's name, in any case
    assert set(sound(at.run()).dataframe[0].value["block"]) == {"block_13"}


def test_the_image_is_changed_in_a_popover(opened: Opened, workspace: Settings) -> None:
    """Without weights as well: the picker stands beside what is missing."""
    at = set_state(opened("Feature maps"), "change-image", True)
    before = at.query_params["image"]
    sound(at.button(key="next").click().run())
    assert at.query_params["image"] != before
    at.file_uploader(key="own-0").set_value([jpeg(7)]).run()
    assert at.selectbox(key="select-dataset").value == MY_IMAGES


def test_images_with_the_highest_activation_are_found_and_stay(
    opened: Opened, lasting_workspace: Settings, tmp_path: Path
) -> None:
    import_dataset(
        "few", incoming_from_folder(write_patches(tmp_path / "few", each=8)), lasting_workspace
    )
    at = sound(opened("Feature maps", dataset="few", layer="conv_pw_3_relu", **SMALL))
    sound(at.button(key="top-images").click().run())
    assert any(words in texts(at) for words in ("Highest values", "reach the highest value"))
    assert all(button.key != "top-images" for button in sound(at.run()).button)


def test_a_link_restores_the_display_or_finds_another_layer(
    opened: Opened, lasting_workspace: Settings
) -> None:
    link = {"rows": "2", "columns": "4", "scale": "layer", "order": "max", "channel": "3"}
    at = sound(opened("Feature maps", layer="conv_pw_3", **link, **SMALL))
    assert maps_of(at).count('title="Channel ') == 8
    assert "all tiles run from" in texts(at)
    assert at.number_input(key="channel-number").value == 3
    assert "Display" in [box.label for box in at.expander]  # in place, over nothing
    assert set_state(at, "display", True).selectbox(key="select-order").value == "max"
    choose(at, layer="block5_conv3")  # another network's layer
    assert at.session_state["_chosen_layer"] != "block5_conv3"
    assert "channels, each" in texts(at)


def test_before_and_after_a_run_that_is_not_damaged(
    opened: Opened, lasting_workspace: Settings, run: str
) -> None:
    link = {"order": "index", **SMALL}
    at = sound(opened("Feature maps", run=run, layer="conv_pw_6_relu", more="before", **link))
    assert "**Frozen.**" in text_of(at)
    assert "the difference is exactly 0" in text_of(at)
    assert "1–16 of 128 channels. Magenta is less" in texts(at)
    set_state(at, "pair-before-conv_pw_6_relu-128-0-32", 8)
    assert "113–128 of 128 channels." in texts(at)
    assert 'title="Channel 128: ' in html_of(at)

    at.button_group(key="select-maps_view").set_value("channel").run()
    at.button_group(key="select-maps_view").set_value("before").run()  # opens where it has learned
    assert sound(at).selectbox(key="select-layer").value == "conv_dw_12"
    choose(at, layer="conv_pw_13")
    assert "was fine-tuned. The largest difference is" in text_of(at)
    assert "Frozen" not in text_of(at)
    choose(at, layer="conv_preds")  # of ImageNet's top, which is here as well
    assert "belongs to ImageNet's top" in texts(at)

    choose(at, network="head", layer="conv_pw_13", maps_view="channel")
    set_state(at, "all-layers", True)
    rows = at.dataframe[0].value.set_index("layer")["trainable"]
    assert rows["▸ conv_pw_13"]
    assert rows["logits"]
    assert not rows["conv_pw_13_bn"]
    assert not rows["conv_pw_6"]

    copy = lasting_workspace.runs / "20200101-000000-000000"  # a run whose model cannot be read
    shutil.copytree(lasting_workspace.runs / run, copy)
    try:
        status = json.loads((copy / "status.json").read_text())
        (copy / "status.json").write_text(json.dumps(status | {"best_epoch": 1}))  # the head alone
        at = sound(opened("Feature maps", run=copy.name, layer="conv_pw_6_relu", **link))
        at.button_group(key="select-maps_view").set_value("before").run()
        assert sound(at).selectbox(key="select-layer").value == "conv_pw_6_relu"
        assert all(button.key != "first-learned" for button in at.button)
        (copy / "model.keras").write_bytes(b"")
        at = opened("Feature maps", run=copy.name, layer="conv_pw_6_relu", more="before", **SMALL)
        assert not at.exception
        assert "model.keras is damaged" in "".join(each.value for each in at.error)
        assert copy.name in at.query_params["run"]  # not exchanged for another
        assert "Frozen" not in text_of(at)
        at.button(key="another-run").click().run()
        assert not at.error
    finally:
        shutil.rmtree(copy)


def test_two_images_can_be_paged_and_a_name_is_never_html(
    opened: Opened, lasting_workspace: Settings, tmp_path: Path
) -> None:
    name = 'a" onmouseover="alert(1).jpg'  # read to those who cannot see it
    (tmp_path / "odd" / "a").mkdir(parents=True)
    for number, file in enumerate((name, "b.jpg")):
        (tmp_path / "odd" / "a" / file).write_bytes(jpeg(number)[1])
    import_dataset("odd", incoming_from_folder(tmp_path / "odd"), lasting_workspace)
    link = {"dataset": "odd", "order": "index", "layer": "conv_pw_3", "more": "images"}
    at = sound(opened("Feature maps", **link, **SMALL))
    assert "1–16 of 32 channels. Each channel has one scale" in texts(at)
    assert "maps-first" in html_of(at)
    assert "maps-second" in html_of(at)
    assert '" onmouseover="' not in html_of(at)
    sha = at.session_state["_chosen_image"][:8]
    set_state(at, f"pair-images-{sha}-conv_pw_3-32-0-32", 2)
    assert "17–32 of 32 channels." in texts(at)


def test_kernels_are_paged_and_stay(opened: Opened, lasting_workspace: Settings) -> None:
    at = sound(opened("Feature maps", layer="conv_pw_6", more="filters", channel="5", **SMALL))
    assert "Kernel 5 of 128 of conv_pw_6: its 1 × 1 weights for each of the 64" in texts(at)
    [field] = [field for field in at.number_input if field.key.endswith("-conv_pw_6")]
    network = field.key.removeprefix("kernel-").removesuffix("-conv_pw_6")
    field.set_value(9)
    sound(at.run())
    assert "Kernel 9 of 128" in texts(at)
    assert at.session_state["_chosen_channel"] == "9"
    choose(at, layer="conv_dw_9")  # one slice for each of 128 channels
    assert "1–64 of 128." in texts(at)
    set_state(at, f"kernels-page-{network}-conv_dw_9", 2)
    assert "65–128 of 128." in texts(at)
    kernels = next(
        html
        for element in at.get("bidi_component")
        if "maps-filters" in (html := json.loads(element.proto.json).get("html", ""))
    )
    assert kernels.count("data-pick") == 64
    assert 'data-pick="128"' in kernels
    choose(at, layer="conv_pw_2")  # other numbers, and the page begins anew
    assert "Kernel 9 of 32" in texts(at)


def test_a_row_of_the_list_goes_to_its_layer_if_that_has_maps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone: list[str] = []
    monkeypatch.setattr(more, "go_to", gone.append)
    shapes = {"maps": (4, 4, 8), "vector": (8,)}
    rows = [
        LayerInfo(Layer(name, "Dense", shape, 0, (), False), "", (0, 0))
        for name, shape in shapes.items()
    ]
    for selected in ([], [0], [1]):
        more.go_to_row(rows, selected)
    assert gone == ["maps"]
