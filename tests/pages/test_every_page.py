"""What holds for each page: it opens on anything, shows no traceback, and loads no TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.pages.conftest import PAGES, Opened, texts
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.settings import PROJECT, Settings

EVERY = list(PAGES)


@pytest.mark.parametrize("name", EVERY)
def test_opens_without_weights(name: str, opened: Opened, workspace: Settings) -> None:
    at = opened(name)
    assert not at.exception
    assert not at.error
    assert at.title[0].value
    assert "`None`" not in [element.value for element in at.markdown]  # a stray value of a line


@pytest.mark.parametrize("name", EVERY)
def test_a_bad_setting_is_said_and_nothing_breaks(
    name: str, opened: Opened, workspace: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLCORE_MODELS_KEPT", "many")
    at = opened(name)
    assert not at.exception
    assert "TLCORE_MODELS\\_KEPT" in at.error[0].value.replace("TLCORE\\_", "TLCORE_")
    assert len(at.sidebar.get("page_link")) == len(EVERY)


@pytest.mark.parametrize("name", ["Compare", "Feature maps", "Fine-tune"])
def test_missing_weights_are_explained_with_two_ways_on(
    name: str, opened: Opened, workspace: Settings
) -> None:
    at = opened(name)
    assert "python -m tlcore weights fetch MobileNetV2" in at.warning[0].value
    labels = [button.label for button in at.button]
    assert "Download" in labels
    assert "Go on with random weights" in labels


def test_a_first_visitor_needs_no_images(
    opened: Opened, empty_workspace: Settings, sample_copied: None
) -> None:
    at = opened("Home")
    at.button[0].click().run()
    assert not at.exception
    assert at.title[0].value == "Compare"
    assert at.selectbox(key="select-dataset").value == SAMPLE_NAME
    assert "1 of 208" in texts(at)


def test_the_server_never_loads_tensorflow(workspace: Settings) -> None:
    """In a process of its own: this one may have loaded it for other tests."""
    script = f"""
import sys
from streamlit.testing.v1 import AppTest
from tlcore.inference.client import Inference
Inference.warm_up = lambda self: None  # it starts another process, which may load them
for page in {list(PAGES.values())}:
    at = AppTest.from_file("app.py", default_timeout=90)
    if page != "app.py":
        at.switch_page(page)
    at.run()
    assert not at.exception, at.exception
    if page == "app.py":  # the first page waits for none of these
        later = {{"pandas", "h5py", "tlcore.ui.components.charts", "tlcore.datasets.importing"}}
        assert not later & set(sys.modules), later & set(sys.modules)
loaded = sorted(name for name in ("tensorflow", "keras") if name in sys.modules)
assert not loaded, loaded
"""
    environ = {**os.environ, **workspace.to_environment()}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
