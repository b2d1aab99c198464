"""How long a person waits for answers, and in how much memory. By hand, on a quiet machine:

    python -m tests.benchmarks.answers FOLDER

FOLDER has class folders, or splits with class folders. First answers on Compare, over a websocket:
of a new installation with nothing converted, and of a freshly started server with a converted
network, after Home, beside that first opening of Home, and without it. Then a run, and its
predictions of all images for the metrics, with its features cached.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from tests.benchmarks import ours
from tests.benchmarks.visitors import DATASET, SIZE, Visitor, bring, resident
from tests.browser.conftest import Server
from tlcore.evaluation.split_predictions import predict_split
from tlcore.inference.client import Inference
from tlcore.models.predictions import ModelRef
from tlcore.models.runtime import backbone_network, wait_for_runtime
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import start_run

TIMES = 3  # fresh servers
READS = 3.0  # s for which a visitor reads a page


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def open_pages(pages: Sequence[str], settings: Settings) -> tuple[list[float], float]:
    """Open pages of a freshly started server, one after the other.

    Returns:
        The seconds until each was drawn, on Compare until its first answer; and the MB of the
        server and its processes.
    """
    server = Server(settings, settings.home / "server.log")
    server.start()
    taken = []

    async def open_all() -> None:
        async with Visitor(server) as visitor:
            for page in pages:
                opened = await visitor.open(page, dataset=DATASET, size=str(SIZE))
                assert not opened.errors, opened.errors
                taken.append(min(opened.answers, default=opened.end))
                await asyncio.sleep(READS)

    try:
        asyncio.run(open_all())
        assert server.process is not None
        return taken, sum(resident(server.process.pid).values())
    finally:
        server.stop()


def main(folder: Path) -> None:
    with ours.empty_home() as settings:
        bring(folder, settings)
        [new], _ = open_pages(["Compare"], settings)
        wait_for_runtime(backbone_network(ModelRef("MobileNetV2", SIZE), settings), settings)
        visits = [open_pages(["", "Compare"], settings) for _ in range(TIMES)]
        home, second = (median(times) for times in zip(*(each for each, _ in visits), strict=True))
        first = median(open_pages(["Compare"], settings)[0][0] for _ in range(TIMES))
        memory = max(size for _, size in visits)
        run, process = start_run(RunConfig(str(folder.resolve()), epochs=10, size=SIZE), settings)
        process.wait()
        inference = Inference(settings)
        inference.answering.process_id  # noqa: B018 - it is up
        task = "tlcore.evaluation.split_predictions:predict_files"
        ask = lambda run, files, _: inference.ask(task, run, files)  # noqa: E731
        splits = [len(predict_split(run, "val", settings, ask))]
        look = seconds(lambda: splits.append(len(predict_split(run, "train", settings, ask))))
        evaluate = ("tlcore.evaluation.evaluation:evaluate", run, "val")
        metrics = seconds(lambda: inference.ask(*evaluate))
        started = inference._process is not None
        inference.close()
    sys.stdout.write(
        f"first answer of a new installation {new:.2f} s; first Home of a fresh server "
        f"{home:.2f} s, then its first answer {second:.2f} s, {second / home:.2f} ×; first answer "
        f"where Compare is opened at once {first:.2f} s; server and process {memory:.0f} MB\n"
        f"predictions of {splits[1]} cached images {look:.2f} s, metrics {metrics:.2f} s, "
        f"TensorFlow started: {started}\n"
    )


if __name__ == "__main__":
    main(ours.folder_argument(__doc__))
