"""Every parameter of every page's address with what nobody should type: the page still opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exports.conftest import trained
from tests.images import write_patches
from tests.pages.conftest import Opened, maps_of, use
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.ui.shell import PAGES

SET = "patches"
ADDRESSES = {page.name: page.address for page in PAGES if page.address}
NASTY = ("9" * 5000, "..", "\0")
ALSO = ("x" * 1000, "²")  # with --all


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A set and a run on it; there are no weights."""
    home: Path = tmp_path_factory.mktemp("any-address")
    settings = Settings(home=home / "home", keras_home=home / "keras")
    import_dataset(
        SET, incoming_from_folder(write_patches(home / "data", classes=2, each=4)), settings
    )
    small = {"backbone": "MobileNet-0.25", "size": 64, "random_weights": True}
    return settings, trained(RunConfig(SET, epochs=1, **small), settings)  # type: ignore[arg-type]


@pytest.fixture
def run(place: tuple[Settings, str], monkeypatch: pytest.MonkeyPatch) -> str:
    use(place[0], monkeypatch)
    return place[1]


@pytest.mark.parametrize(
    "value",
    [*NASTY, *(pytest.param(value, marks=pytest.mark.full) for value in ALSO)],
    ids=lambda value: repr(value)[:9],
)
@pytest.mark.parametrize("name", list(ADDRESSES))
def test_a_page_opens_whatever_its_address_says(
    name: str, value: str, opened: Opened, run: str
) -> None:
    """What is looked at, by itself; then everything else at once, with the run's own network."""
    address = ADDRESSES[name]
    good = {query: value for query, value in (("dataset", SET), ("run", run)) if query in address}
    for query in good:
        at = opened(name, **good | {query: value})
        assert not at.exception, (query, at.exception)
    others = {query: value for query in address if query not in good}
    if name == "Feature maps":
        others["network"] = "head"
    at = opened(name, **good, **others)
    assert not at.exception
    if name == "Feature maps":
        assert not at.error
        assert "data-pick" in maps_of(at)


def test_more_than_there_is_of_anything_is_the_last(opened: Opened, run: str) -> None:
    most = dict.fromkeys(("page", "channel", "top"), "9" * 18)
    at = opened("Feature maps", dataset=SET, run=run, network="head", **most)
    assert not at.exception
    assert not at.error
    assert "data-pick" in maps_of(at)
