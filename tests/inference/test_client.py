"""The real inference process: warm, killed, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tlcore.activations.values import ActivationRequest, DisplayOptions
from tlcore.datasets.image_io import read
from tlcore.errors import BadImage, UnknownName, WeightsMissing, WorkerDied
from tlcore.inference.client import Inference
from tlcore.models.model import load_pretrained
from tlcore.models.predictions import ModelRef
from tlcore.settings import PROJECT, Settings

PATIENCE = 120.0  # s; far more than it needs, so that a busy machine does not fail a test
MAPS = "tlcore.inference.activation_tasks"
SMALL = ModelRef("MobileNet-0.25", 64, random=True)
SLOW = ModelRef("DenseNet121", 224, random=True)  # takes seconds to build


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("inference")
    return Settings(home=home / "home", keras_home=home / "keras")


@pytest.fixture(scope="module")
def inference(settings: Settings) -> Iterator[Inference]:
    """One client for all tests: each start of a process costs seconds."""
    client = Inference(settings)
    yield client
    client.close()


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{process_id}/stat").read_text().split(")")[1].startswith(" Z")


def test_an_answer_from_the_process_is_the_cores_answer(
    inference: Inference, settings: Settings, photos: list[Path]
) -> None:
    told = inference.ask("predict", photos[0], [SMALL])[0]
    own = load_pretrained(SMALL, settings).predict(read(photos[0], settings.limits))
    np.testing.assert_allclose(told.logits, own.logits, atol=1e-5)
    assert inference.warm


def test_one_process_serves_all_questions_and_goes_on_close(
    inference: Inference, photos: list[Path]
) -> None:
    process = inference.process_id
    look = ActivationRequest(photos[0], "", SMALL)
    pages = [
        inference.ask(f"{MAPS}:draw_maps", look, "conv_pw_1_relu", DisplayOptions(page=page))
        for page in (0, 99)
    ]
    assert pages[0].channels == 16
    assert pages[1].page == 0  # past the end: the last page
    assert inference.process_id == process
    assert len(inference.ask(f"{MAPS}:list_layers", SMALL)) > 20
    inference.close()
    assert not alive(process)


def test_what_was_foreseen_is_there_when_it_is_asked(
    inference: Inference, photos: list[Path]
) -> None:
    look = ActivationRequest(photos[0], "", SMALL)
    question = (f"{MAPS}:draw_maps", look, "conv_pw_2_relu", DisplayOptions())
    for _ in range(2):  # the second time it is under way already
        inference.ask_ahead(*question)
    assert len(inference._ahead) == 1
    answer = inference._ahead[0][1]
    assert inference.ask(*question) is answer.result()
    assert len(inference._ahead) == 0
    assert inference.ask(*question) is not answer.result()  # and is asked anew


def test_what_was_foreseen_wrongly_costs_nothing_but_itself(
    inference: Inference, photos: list[Path]
) -> None:
    look = ActivationRequest(photos[0], "", SMALL)
    inference.ask_ahead(f"{MAPS}:draw_maps", look, "conv99", DisplayOptions())
    assert inference.ask("predict", photos[0], [SMALL])[0].size == 64
    with pytest.raises(UnknownName, match="Received 'conv99'"):
        inference.ask(f"{MAPS}:draw_maps", look, "conv99", DisplayOptions())


def test_killed_while_it_works_ahead_the_question_is_answered(
    inference: Inference, photos: list[Path]
) -> None:
    process = inference.process_id
    question = (
        f"{MAPS}:draw_maps",
        ActivationRequest(photos[0], "", SLOW),
        "conv2_block1_0_bn",
        DisplayOptions(),
    )
    inference.ask_ahead(*question)
    os.kill(process, signal.SIGKILL)
    assert inference.ask(*question).channels == 64
    assert inference.process_id != process


def test_errors_of_the_core_arrive_as_they_are(
    inference: Inference, tmp_path: Path, photos: list[Path]
) -> None:
    with pytest.raises(BadImage, match=r"nothing\.jpg"):
        inference.ask("predict", tmp_path / "nothing.jpg", [SMALL])[0]
    missing, here = inference.ask("predict", photos[0], [ModelRef("ResNet50", 224), SMALL])
    assert isinstance(missing, WeightsMissing)
    assert "weights fetch" in str(missing)
    assert here.size == 64  # one model's error leaves the others' predictions
    with pytest.raises(UnknownName, match="Received 'conv99'"):
        inference.ask(
            f"{MAPS}:draw_maps", ActivationRequest(photos[0], "", SMALL), "conv99", DisplayOptions()
        )


def test_killed_between_two_questions_the_next_one_is_answered(
    inference: Inference, photos: list[Path]
) -> None:
    first = inference.ask("predict", photos[0], [SMALL])[0]
    killed = inference.process_id
    os.kill(killed, signal.SIGKILL)
    np.testing.assert_array_equal(
        inference.ask("predict", photos[0], [SMALL])[0].logits, first.logits
    )
    assert inference.process_id != killed


def test_killed_in_the_middle_of_a_question_it_is_asked_again(
    inference: Inference, photos: list[Path]
) -> None:
    process = inference.process_id
    timer = threading.Timer(0.3, os.kill, (process, signal.SIGKILL))  # while the network is built
    timer.start()
    inference.ask("predict", photos[0], [SLOW])[0]
    timer.join()
    assert inference.process_id != process


def test_killed_each_time_it_says_so_and_recovers(inference: Inference, photos: list[Path]) -> None:
    over = threading.Event()

    def kill_whatever_comes() -> None:
        while not over.is_set():
            with suppress(BrokenProcessPool, ProcessLookupError):  # gone, or not up yet
                process = inference.process_id
                if not over.is_set():
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)

    process = inference.process_id
    killer = threading.Thread(target=kill_whatever_comes)
    killer.start()
    with pytest.raises(WorkerDied, match="ended twice"):
        inference.ask("predict", photos[0], [SLOW])[0]
    over.set()
    killer.join()
    assert inference.ask("predict", photos[0], [SMALL])[0].size == 64
    assert inference.process_id != process


def test_the_process_goes_when_its_server_is_killed(settings: Settings) -> None:
    script = """
import sys, time
from tlcore.inference.client import Inference
from tlcore.settings import Settings
print(Inference(Settings.from_environment()).process_id, flush=True)
time.sleep(60)
"""
    server = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        env={**os.environ, **settings.to_environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdout is not None
    with server.stdout as said:
        worker = int(said.readline())
    server.kill()
    server.wait()
    end = time.monotonic() + PATIENCE
    while alive(worker):
        assert time.monotonic() < end
        time.sleep(0.1)
