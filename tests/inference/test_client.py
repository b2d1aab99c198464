"""The real inference process: warm, killed, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.images import write_patches
from tests.inference import deadly
from tlcore.activations.values import ActivationRequest, DisplayOptions
from tlcore.datasets.sources import read_folder
from tlcore.datasets.splits import split_samples
from tlcore.errors import BadImage, UnknownName, WeightsMissing, WorkerDied
from tlcore.inference.client import Inference, Process, Worker
from tlcore.models.loaded_model import load_pretrained
from tlcore.models.predictions import ModelRef, Prediction
from tlcore.settings import PROJECT, Settings
from tlcore.training.config import RunConfig
from tlcore.training.transfer_model import convert_backbone

PATIENCE = 120.0  # s; far more than it needs, so that a busy machine does not fail a test
SMALL = ModelRef("MobileNet-0.25", 64, random=True)
SLOW = ModelRef("MobileNetV2", 96, random=True)  # takes seconds to build


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


@pytest.fixture(scope="module")
def photo(photos: list[Path]) -> Path:
    return photos[0]


def predict(inference: Inference, image: Path, ref: ModelRef = SMALL) -> Prediction:
    [prediction] = inference.ask("predict", image, [ref])
    return prediction


def draw(image: Path, layer: str, ref: ModelRef = SMALL, page: int = 0) -> tuple[object, ...]:
    request = ActivationRequest(image, "", ref)
    return "draw_layer", request, layer, DisplayOptions(page=page)


def kill(inference: Inference) -> int:
    process = inference.process_id
    os.kill(process, signal.SIGKILL)
    return process


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{process}/stat").read_text().split(")")[1].startswith(" Z")


def test_a_prediction_from_the_process_is_the_cores(
    inference: Inference, settings: Settings, photo: Path
) -> None:
    own = load_pretrained(SMALL, settings).predict(photo)
    np.testing.assert_allclose(predict(inference, photo).logits, own.logits, atol=1e-5)
    assert inference.warm


def test_one_process_does_all_tasks_and_ends_on_close(inference: Inference, photo: Path) -> None:
    process = inference.process_id
    first, last = (inference.ask(*draw(photo, "conv_pw_1_relu", page=number)) for number in (0, 99))
    assert (first[0].channels, last[0].page) == (16, 0)  # past the end: the last page
    assert inference.process_id == process
    assert len(inference.ask("list_layers", SMALL)) > 20
    inference.close()
    assert not is_alive(process)


def test_a_task_that_was_started_ahead_is_not_run_again(inference: Inference, photo: Path) -> None:
    request = draw(photo, "conv_pw_2_relu")
    for _ in range(2):  # the second time it is under way already
        inference.prefetch(*request)
    assert len(inference._ahead) == 1
    _, (_, result) = inference._ahead[0]
    assert inference.ask(*request) is result.result()
    assert len(inference._ahead) == 0
    assert inference.ask(*request) is not result.result()


def test_errors_of_the_core_arrive_as_they_are(
    inference: Inference, tmp_path: Path, photo: Path
) -> None:
    with pytest.raises(BadImage, match=r"nothing\.jpg"):
        predict(inference, tmp_path / "nothing.jpg")
    inference.prefetch(*draw(photo, "conv99"))  # in vain: it harms no other
    assert predict(inference, photo).size == 64
    for layer in ("conv98", "conv99"):
        with pytest.raises(UnknownName, match=f"Received '{layer}'"):
            inference.ask(*draw(photo, layer))
    missing, here = inference.ask("predict", photo, [ModelRef("ResNet50", 224), SMALL])
    assert isinstance(missing, WeightsMissing)
    assert "weights fetch" in str(missing)
    assert here.size == 64  # one model's error leaves the others' predictions


def test_one_decoded_image_serves_several_models_and_explanations(
    inference: Inference, photo: Path
) -> None:
    wide = ModelRef("MobileNet-0.25", 96, random=True)
    first, second = inference.ask("predict", photo, [SMALL, wide])
    requests = [(SMALL, first.best, ""), (wide, 7, "conv_pw_5_relu"), (wide, -1, "")]
    small, other, wrong = inference.ask("explain", photo, requests)
    assert (small.size, small.index, small.layer) == (64, first.best, "conv_pw_13_relu")
    assert (other.size, other.index, other.layer) == (96, 7, "conv_pw_5_relu")
    assert other.probability == pytest.approx(second.probabilities[7], rel=1e-4)
    assert isinstance(wrong, UnknownName)


@pytest.mark.parametrize("when", ["between two tasks", "in the middle", "while it works ahead"])
def test_after_a_kill_the_task_is_run_in_a_new_process(
    when: str, inference: Inference, photo: Path
) -> None:
    first = predict(inference, photo)
    process = inference.process_id
    if when == "between two tasks":
        kill(inference)
        np.testing.assert_array_equal(predict(inference, photo).logits, first.logits)
    elif when == "in the middle":
        timer = threading.Timer(0.3, os.kill, (process, signal.SIGKILL))  # a model is being built
        timer.start()
        predict(inference, photo, SLOW)
        timer.join()
    else:
        request = draw(photo, "block_1_expand", SLOW)
        inference.prefetch(*request)
        kill(inference)
        assert inference.ask(*request)[0].channels == 96
    assert inference.process_id != process


class Harassed(Worker):
    """A client whose first three processes get a deadly task before whatever is asked."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, deadly.__name__)
        self.folder, self.processes = folder, list[Process]()

    def _running(self) -> Process:
        process = super()._running()
        if process not in self.processes:
            self.processes.append(process)
            if len(self.processes) <= 3:
                process.send("die", (self.folder, 9))
        return process


def within_patience(call: Callable[[], object]) -> object:
    """Return what a call returns; fail where it does not come back."""
    result: Future[object] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return result.result(PATIENCE)


def test_a_request_counts_the_deaths_of_its_own_task(settings: Settings, tmp_path: Path) -> None:
    once, always, others = (tmp_path / name for name in ("once", "always", "others"))
    worker = Worker(settings, deadly.__name__)
    try:
        os.kill(worker.process_id, signal.SIGKILL)  # idle: the request has both tries left
        assert within_patience(lambda: worker.ask("die", once, 1)) == "alive"
        with pytest.raises(WorkerDied, match="ended twice"):
            within_patience(lambda: worker.ask("die", always, 9))
        assert (len(list(once.iterdir())), len(list(always.iterdir()))) == (1, 2)
        assert within_patience(lambda: worker.ask("die", always, 0)) == "alive"
    finally:
        within_patience(worker.close)
    worker = Harassed(settings, others)
    try:
        assert within_patience(lambda: worker.ask("die", others, 0)) == "alive"
        assert len(worker.processes) == 4
    finally:
        within_patience(worker.close)


def test_the_process_ends_when_its_server_is_killed(settings: Settings) -> None:
    script = """
import time
from tlcore.inference.client import Inference, Process, Worker
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
    with server.stdout as output:
        worker = int(output.readline())
    server.kill()
    server.wait()
    end = time.monotonic() + PATIENCE
    while is_alive(worker):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_converted_network_answers_without_tensorflow_though_its_process_is_killed(
    tmp_path: Path, photo: Path
) -> None:
    settings = Settings(home=tmp_path / "home", keras_home=tmp_path, runtime="auto")
    for top in (True, False):
        convert_backbone(SMALL, settings, top=top)
    client = Inference(settings)
    client.warm_up()
    first = predict(client, photo)
    own = load_pretrained(SMALL, settings).predict(photo)
    np.testing.assert_allclose(first.probabilities, own.probabilities, atol=1e-4)
    assert (first.labels, first.note) == (own.labels, own.note)
    os.kill(client.answering.process_id, signal.SIGKILL)
    missing, again = client.ask("predict", photo, [ModelRef("ResNet50", 224), SMALL])
    assert isinstance(missing, WeightsMissing)
    np.testing.assert_array_equal(again.logits, first.logits)
    assert len(client.ask("predict_batch", [photo] * 3, [SMALL])) == 3
    data = read_folder(write_patches(tmp_path / "set", classes=2, each=4))
    config = RunConfig(data.folder, backbone=SMALL.backbone, size=64, random_weights=True)
    train, val = split_samples(data)
    cost = client.ask("tlcore.training.cost:estimate_cost", config, train, val)
    assert (cost.missing, cost.memory < 2**29) == (8, True)
    finder = "tlcore.training.studies:find_learning_rate_for"
    assert client.ask(finder, config, data.classes, train).computed == len(train)
    assert client._process is None  # nothing needed it
    tuned = replace(config, fine_tune_epochs=1)
    assert client.ask("tlcore.training.cost:estimate_cost", tuned, train, val).fine_tune_seconds > 0
    assert client._process is not None
    with pytest.raises(BadImage):
        client.ask("predict", tmp_path / "none.png", [SMALL])
    client.close()
