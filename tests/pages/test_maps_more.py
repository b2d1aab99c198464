"""What is asked beyond the maps, with a real run: pairs, kernels, the list; what is not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.cli.running import answer
from tests.images import write_patches
from tests.pages.conftest import Opened, html_of, texts
from tlcore.settings import Settings

BASE = ("--backbone", "MobileNet-0.25", "--size", "128")
ASKED = {"backbone": "MobileNet-0.25", "size": "128"}


@pytest.fixture(scope="module")
def run(lasting: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real tiny run whose last blocks have learned."""
    data = write_patches(tmp_path_factory.mktemp("run") / "set", classes=2, each=4)
    stages = ("--epochs", "1", "--fine-tune-epochs", "1", "--learning-rate", "0.01")
    return str(answer(lasting, "train", data, *BASE, *stages)["run"])


def said(at: AppTest) -> str:
    return "\n".join([texts(at), *(element.value for element in at.success)])


def sound(at: AppTest) -> AppTest:
    assert not at.exception
    assert not at.error
    return at


def page_to(at: AppTest, key: str, page: int) -> AppTest:
    at.session_state[key] = page
    return sound(at.run())


def test_before_and_after_a_run(opened: Opened, lasting_workspace: Settings, run: str) -> None:
    at = sound(opened("Feature maps", run=run, layer="conv_pw_6_relu", more="before", **ASKED))
    assert "**Frozen.**" in said(at)
    assert "the difference is exactly 0" in said(at)
    assert "1–16 of 128 channels. Blue is less" in texts(at)
    page_to(at, "pair-before-conv_pw_6_relu-128-0-32", 8)
    assert "113–128 of 128 channels." in texts(at)
    assert 'title="Channel 128: ' in html_of(at)

    at.session_state["_chosen_layer"] = "conv_pw_13"
    sound(at.run())
    assert "has learned. The largest difference is" in said(at)
    assert "Frozen" not in said(at)

    at.session_state["_chosen_layer"] = "conv_preds"  # of ImageNet's top, which is here as well
    sound(at.run())
    assert "belongs to the top that answers for ImageNet" in texts(at)

    at.session_state["_chosen_network"] = "head"
    at.session_state["_chosen_layer"] = "conv_pw_13"
    at.session_state["_chosen_more"] = "layers"
    sound(at.run())
    rows = at.dataframe[0].value.set_index("layer")["trainable"]
    assert rows["▸ conv_pw_13"]
    assert rows["logits"]
    assert not rows["conv_pw_13_bn"]
    assert not rows["conv_pw_6"]


def test_a_damaged_run_is_not_exchanged_for_another_before_and_after(
    opened: Opened, lasting_workspace: Settings, run: str
) -> None:
    """Beside ImageNet's maps, an address that names a run whose network cannot be read."""
    copy = lasting_workspace.runs / "20200101-000000-000000"
    shutil.copytree(lasting_workspace.runs / run, copy)
    (copy / "model.keras").write_bytes(b"")
    try:
        at = opened("Feature maps", run=copy.name, layer="conv_pw_6_relu", more="before", **ASKED)
        assert not at.exception
        assert "model.keras is damaged" in "".join(each.value for each in at.error)
        assert copy.name in at.query_params["run"]
        assert "Frozen" not in said(at)
        at.button(key="another-run").click().run()
        assert not at.error
    finally:
        shutil.rmtree(copy)


def test_two_images_can_be_paged(opened: Opened, lasting_workspace: Settings) -> None:
    at = sound(opened("Feature maps", layer="conv_pw_3", more="images", **ASKED))
    assert "1–16 of 32 channels. Each channel has one scale" in texts(at)
    sha = at.session_state["_chosen_image"][:8]
    page_to(at, f"pair-images-conv_pw_3-32-{sha}-0-32", 2)
    assert "17–32 of 32 channels." in texts(at)


def test_kernels_are_paged_and_stay(opened: Opened, lasting_workspace: Settings) -> None:
    at = sound(opened("Feature maps", layer="conv_pw_6", more="filters", channel="5", **ASKED))
    assert "Kernel 5 of 128 of conv_pw_6: its 1 × 1 weights for each of the 64" in texts(at)
    [field] = [field for field in at.number_input if field.key.endswith("-conv_pw_6")]
    network = field.key.removeprefix("kernel-").removesuffix("-conv_pw_6")
    field.set_value(9)
    sound(at.run())
    assert "Kernel 9 of 128" in texts(at)
    assert at.session_state["_chosen_channel"] == "9"
    at.session_state["_chosen_layer"] = "conv_dw_9"  # one slice for each of 128 channels
    sound(at.run())
    assert "1–64 of 128." in texts(at)
    page_to(at, f"kernels-page-{network}-conv_dw_9", 2)
    assert "65–128 of 128." in texts(at)
    kernels = next(
        data["html"]
        for element in at.get("bidi_component")
        if "maps-filters" in (data := json.loads(element.proto.json))["html"]
    )
    assert kernels.count("data-pick") == 64
    assert 'data-pick="128"' in kernels
    at.session_state["_chosen_layer"] = "conv_pw_2"  # other numbers, and the page begins anew
    sound(at.run())
    assert "Kernel 9 of 32" in texts(at)


def test_the_list_is_searched_and_goes_to_a_layer(
    opened: Opened, lasting_workspace: Settings
) -> None:
    at = sound(opened("Feature maps", layer="conv_pw_3", more="layers", **ASKED))
    whole = at.dataframe[0].value
    assert list(whole["layer"][:2]) == ["input_layer", "conv1"]
    assert "▸ conv_pw_3" in set(whole["layer"])
    at.text_input(key="layer-search").set_value("depthwise")
    sound(at.run())
    found = at.dataframe[0].value
    assert len(found) == 13
    assert set(found["type"]) == {"DepthwiseConv2D"}
    at.text_input(key="layer-search").set_value("CONV_13")  # a block's name, in any case
    sound(at.run())
    assert set(at.dataframe[0].value["block"]) == {"conv_13"}


def test_a_row_of_the_list_goes_to_its_layer_if_that_has_maps() -> None:
    def script() -> None:
        import streamlit as st

        from tlcore.activations.values import LayerInfo
        from tlcore.models.predictions import Layer
        from tlcore.ui.feature_maps.depth import go_to_row
        from tlcore.ui.state import Choice, chosen

        shapes = {"maps": (4, 4, 8), "vector": (8,)}
        rows = [
            LayerInfo(Layer(name, "Dense", shape, 0, (), False), "", (0, 0))
            for name, shape in shapes.items()
        ]
        go_to_row(rows, st.session_state["rows"])
        st.write(f"at {chosen(Choice.LAYER)}.")

    at = AppTest.from_function(script)
    for rows, layer in (([], ""), ([0], "maps"), ([1], "maps")):
        at.session_state["rows"] = rows
        at.run()
        assert at.markdown[0].value == f"at {layer}."


def test_a_layer_that_is_not_there(opened: Opened, lasting_workspace: Settings) -> None:
    """Weights are here, the layer of the link is another network's."""
    at = sound(opened("Feature maps", layer="block5_conv3", **ASKED))
    assert at.session_state["_chosen_layer"] != "block5_conv3"
    assert "channels, each" in texts(at)


def test_a_image_with_a_name_like_html(
    opened: Opened, lasting_workspace: Settings, tmp_path: Path
) -> None:
    """Its name is said to those who cannot see it, never read as HTML."""
    from tests.datasets.planted import image
    from tlcore.datasets.importing import import_dataset
    from tlcore.datasets.sources import from_folder

    name = 'a" onmouseover="alert(1).jpg'
    (tmp_path / "odd" / "a").mkdir(parents=True)
    for number, file in enumerate((name, "b.jpg")):
        (tmp_path / "odd" / "a" / file).write_bytes(image(number))
    import_dataset("odd", from_folder(tmp_path / "odd"), lasting_workspace)
    at = sound(opened("Feature maps", dataset="odd", layer="conv_pw_3", more="images", **ASKED))
    shown = html_of(at)
    assert "maps-first" in shown
    assert "maps-second" in shown
    assert '" onmouseover="' not in shown
