"""Pages run by Streamlit's own AppTest, each on a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.store import load_dataset
from tlcore.inference.client import Inference, Process
from tlcore.settings import PROJECT, Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.ui import services, shell
from tlcore.ui.components import dataset_picker
from tlcore.ui.state import LOADED

PAGES = {page.name: page.file for page in shell.PAGES}
Opened = Callable[..., AppTest]


@pytest.fixture
def empty_workspace(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that the pages read from the environment: an empty home, no weights."""
    return use(settings, monkeypatch)


@pytest.fixture
def sample_copied(sample_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that draws the sample copies it."""

    def copy_sample(settings: Settings) -> Dataset:
        shutil.copytree(sample_folder, settings.datasets / SAMPLE_NAME)
        return load_dataset(SAMPLE_NAME, settings)

    monkeypatch.setattr(dataset_picker, "ensure_sample", copy_sample)


@pytest.fixture
def workspace(empty_workspace: Settings, sample_folder: Path) -> Settings:
    """A home in which the sample has been drawn, no weights."""
    shutil.copytree(sample_folder, empty_workspace.datasets / SAMPLE_NAME)
    return empty_workspace


@pytest.fixture(scope="module")
def lasting(
    shared: Path, sample_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """One home with the sample and the real weights for all tests of a file that only look."""
    home = tmp_path_factory.mktemp("lasting")
    settings = Settings(home=home / "home", keras_home=shared / "keras")
    shutil.copytree(sample_folder, settings.datasets / SAMPLE_NAME)
    return settings


@pytest.fixture
def lasting_workspace(lasting: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same as ``real_workspace``, but what is loaded for one test serves the next."""
    return use(lasting, monkeypatch)


@pytest.fixture
def real_workspace(
    real: Settings, sample_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The same with the real weights."""
    shutil.copytree(sample_folder, real.datasets / SAMPLE_NAME)
    return use(real, monkeypatch)


def use(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Let the pages read these settings from the environment."""
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    return settings


class Lent(Inference):
    """A client whose process is another's: each test has settings of its own, sent along with
    every question, and starting a process for each would cost seconds."""

    owner: Inference  # set by the fixture

    @property
    def warm(self) -> bool:
        return self.owner.warm

    def warm_up(self) -> None:
        """Start nothing before something is asked."""

    def _running(self) -> Process:
        """The owner's, for these settings. Not kept here: it outlives this client's ``close``."""
        lender = self.owner._running()
        process = copy(lender)
        process._settings, process.lender = self._settings, lender  # its file is the lender's
        return process

    def _forget(self, dead: Process) -> None:
        self.owner._forget(dead.lender)


@pytest.fixture(scope="session")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Inference]]:
    home = tmp_path_factory.mktemp("inference")
    owner = Inference(Settings(home=home, keras_home=home))
    yield type("Lent", (Lent,), {"owner": owner})
    owner.close()


@pytest.fixture(autouse=True)
def fresh_server(monkeypatch: pytest.MonkeyPatch, lent: type[Inference]) -> Iterator[None]:
    """No cache of an earlier test; no process is started before something is asked of it."""
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(services, "Inference", lent)
    st.cache_data.clear()
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def opened() -> Opened:
    """Open a page, as a fresh session that follows a link to it."""

    def open_page(name: str, **query: str) -> AppTest:
        at = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=90)
        if PAGES[name] != "app.py":
            at.switch_page(PAGES[name])
        at.session_state[LOADED] = True  # as after the first page: the address is written
        for key, value in query.items():
            at.query_params[key] = value
        return at.run()

    return open_page


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """What the page asked for; instead of a worker a process that ends at once."""
    asked: list[RunConfig] = []

    def start(config: RunConfig, settings: Settings) -> tuple[str, subprocess.Popen[bytes]]:
        asked.append(config)
        folder, lock = create_run(config, settings)
        os.close(lock)
        process = subprocess.Popen(["true"])
        process.wait()
        return folder.name, process

    monkeypatch.setattr(services, "start_run", start)
    return asked


def texts(at: AppTest) -> str:
    """Everything that a page says."""
    kinds = (at.title, at.subheader, at.markdown, at.caption, at.error, at.warning, at.info)
    return "\n".join(element.value for kind in kinds for element in kind)


def form(opened: Opened) -> AppTest:
    """The form of a run, with random weights accepted."""
    return opened("Fine-tune").button(key="random-MobileNetV2").click().run()


def press(at: AppTest, words: str) -> AppTest:
    """Click the button with these words and run the page."""
    return next(button for button in at.button if button.label == words).click().run()


def field(at: AppTest, label: str) -> Any:
    """The number field, menu, box or line of text of that label."""
    fields = (*at.number_input, *at.selectbox, *at.checkbox, *at.text_input)
    return next(widget for widget in fields if widget.label == label)


def maps_of(at: AppTest) -> str:
    """The HTML of the maps that can be clicked."""
    shown = [json.loads(element.proto.json) for element in at.get("bidi_component")]
    return next(data["html"] for data in shown if "maps-main" in data.get("html", ""))


def html_of(at: AppTest) -> str:
    """The HTML that a page draws."""
    return "\n".join(element.proto.body for element in at.get("html"))


def grid_of(at: AppTest, key: str) -> dict[str, Any]:
    """The data of an image grid."""
    return json.loads(_grid(at, key).json)  # type: ignore[no-any-return]


def select_in_grid(at: AppTest, key: str, *places: int) -> AppTest:
    """Click the images at these places of a grid, as its component answers, and run the page."""
    ids = [image["id"] for image in grid_of(at, key)["images"]]
    selected = grid_of(at, key)["selected"]
    for place in places:
        selected = [one for one in selected if one != ids[place]] + (
            [ids[place]] if ids[place] not in selected else []
        )
    if not grid_of(at, key)["multiple"]:
        selected = [ids[places[-1]]]
    states = at._tree.get_widget_states()
    event = {"event": "selected", "value": {"ids": selected}}
    trigger = states.widgets.add()
    trigger.id = f"$$STREAMLIT_INTERNAL_KEY_{_grid(at, key).id}__events"
    trigger.json_trigger_value = json.dumps([event])
    return at._run(states)


def tick_runs(at: AppTest, *rows: int, cell: int | None = None) -> AppTest:
    """Tick rows of the list of runs, or click a cell of one, and run the page."""
    cells = [] if cell is None else [(cell, "Run")]
    selection = {"rows": list(rows), "columns": [], "cells": cells}
    at.session_state["runs-0"] = {"selection": selection}
    return at.run()


def _grid(at: AppTest, key: str) -> Any:
    return next(
        element.proto
        for element in at.get("bidi_component")
        if element.proto.component_name == "tlcore_image_grid" and element.proto.id.endswith(key)
    )
