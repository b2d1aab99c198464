"""The image picker, on the page where it is used most."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.pages.conftest import Opened, select_in_grid
from tests.pages.test_upload import jpeg
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.store import load_dataset
from tlcore.settings import Settings
from tlcore.ui.components.image_picker import MY_IMAGES


def shown(at: AppTest) -> str:
    """The caption that says which image it is."""
    return next(caption.value for caption in at.caption if " of " in caption.value)


def test_an_image_is_chosen_by_steps_by_its_thumbnail_and_by_its_class(
    opened: Opened, workspace: Settings
) -> None:
    at = opened("Compare")
    assert "1 of 208" in shown(at)
    assert at.button(key="previous").disabled
    at.button(key="strip-further").click().run()
    assert "1 of 208" in shown(at)  # turning the strip chooses nothing
    select_in_grid(at, "strip", 0)
    assert "13 of 208" in shown(at)
    at.button(key="previous").click().run()  # to the page of the strip before
    assert "12 of 208" in shown(at)
    at.button(key="next").click().run()
    assert "13 of 208" in shown(at)
    at.selectbox(key="select-class_filter").set_value("sailboat").run()
    assert "sailboat" in shown(at)
    assert "1 of 52" in shown(at)
    image = "".join(at.query_params["image"])
    at.switch_page("pages/3_Feature_maps.py").run()  # the choice goes along
    assert "".join(at.query_params["image"]) == image


def test_a_link_restores_dataset_and_image(opened: Opened, workspace: Settings) -> None:
    uploads = [jpeg(number)[:2] for number in (1, 2, 3)]
    import_dataset("mine", incoming_from_uploads(uploads), workspace)
    third = load_dataset("mine", workspace).samples[2]
    at = opened("Compare", dataset="mine", image=third.sha256)
    assert at.selectbox(key="select-dataset").value == "mine"
    assert "3 of 3" in shown(at)
    assert third.sha256 in at.query_params["image"]


def test_the_same_image_twice_does_not_stop_the_walk(opened: Opened, workspace: Settings) -> None:
    name, data, _ = jpeg(1)
    uploads = [("a.jpg", data), ("b.jpg", data), (name, jpeg(2)[1])]
    import_dataset("mine", incoming_from_uploads(uploads), workspace)
    at = opened("Compare", dataset="mine")
    assert "1 of 2" in shown(at)
    at.button(key="next").click().run()
    assert "2 of 2" in shown(at)


def test_a_fresh_image_goes_to_my_images_and_one_that_is_none_is_refused_once(
    opened: Opened, workspace: Settings
) -> None:
    at = opened("Compare")
    at.file_uploader(key="own-0").set_value([("a.txt", b"words", "text/plain")]).run()
    assert "Expected at least one usable image" in at.error[0].value
    assert at.selectbox(key="select-dataset").value == SAMPLE_NAME
    at.run()
    assert not at.error
    for number in (7, 8):
        at.file_uploader(key=f"own-{number - 6}").set_value([jpeg(number)]).run()
        assert not at.exception
        assert at.selectbox(key="select-dataset").value == MY_IMAGES
        assert f"daisy {number}.jpg" in shown(at)
    assert len(load_dataset(MY_IMAGES, workspace).samples) == 2
