"""How long visitors wait for answers and maps while a run trains. By hand, on a quiet machine:

    python -m tests.benchmarks.visitors FOLDER [--visitors 20] [--seconds 600]

A real server, and visitors who speak Streamlit's own protocol over its websockets as a browser
does. Each opens an image on Compare, looks at it for some seconds, opens a layer of it on Feature
maps, looks at that, and goes on with another image, while a run with unfrozen blocks trains.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from types import TracebackType
from urllib.parse import urlencode
from urllib.request import urlopen

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from tests.benchmarks import ours
from tests.browser.conftest import Server
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.models.predictions import ModelRef
from tlcore.models.runtime import backbone_network, wait_for_runtime
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import start_run, stop_run

DATASET, SIZE = "visitors", 224
LOOKS = 2.0, 8.0  # s for which a visitor looks at a page, at least and at most
MAPS = "Feature_maps"
LAYERS = "Conv1_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu"


@dataclass
class Opened:
    """What came of one opening of a page, with seconds since it was asked for."""

    answers: list[float] = field(default_factory=list)
    maps: list[float] = field(default_factory=list)  # heat maps, with their pixels
    end: float = 0.0
    errors: list[str] = field(default_factory=list)


class Visitor:
    """One session over a websocket."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def __aenter__(self) -> Visitor:
        url = f"ws://127.0.0.1:{self.server.port}/_stcore/stream"
        self.socket: ClientConnection = await connect(
            url, subprotocols=["streamlit"], max_size=None, ping_interval=None
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self.socket.close()

    async def open(self, page: str, **address: str) -> Opened:
        """Open a page and receive all that is drawn, until its script has ended."""
        opened, began = Opened(), time.perf_counter()
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.query_string = urlencode(address)
        await self.socket.send(message.SerializeToString())
        async for data in self.socket:
            received = ForwardMsg.FromString(data)
            kind = received.WhichOneof("type")
            if kind == "delta":
                await self._look(received, opened, began)
            elif kind == "script_finished" and received.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            ):
                break
        opened.end = time.perf_counter() - began
        return opened

    async def _look(self, received: ForwardMsg, opened: Opened, began: float) -> None:
        element = received.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "html" and 'class="answer' in element.html.body:
            opened.answers.append(time.perf_counter() - began)
        elif kind == "imgs":
            for image in element.imgs.imgs:
                await asyncio.to_thread(self._fetch, image.url)
                if image.alt.startswith("What supports"):
                    opened.maps.append(time.perf_counter() - began)
        elif kind == "exception":
            opened.errors.append(element.exception.message)
        elif kind == "alert" and element.alert.format == element.alert.ERROR:
            opened.errors.append(element.alert.body)

    def _fetch(self, address: str) -> None:
        if address.startswith("/"):
            with urlopen(f"{self.server.url}{address}") as answer:
                answer.read()


def bring(folder: Path, settings: Settings) -> list[str]:
    """Import a folder as the dataset DATASET; return its images' sha256 in a random order."""
    dataset = import_dataset(DATASET, incoming_from_folder(folder), settings).dataset
    images = [sample.sha256 for sample in dataset.samples]
    random.Random(0).shuffle(images)
    return images


def resident(process: int) -> dict[str, float]:
    """Return the MB of a server and of its processes, by what they are."""
    found: dict[str, float] = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            status = dict(
                line.split(":", 1) for line in path.read_text().splitlines() if ":" in line
            )
            command = (path.parent / "cmdline").read_text()
            mapped = (path.parent / "maps").read_text()
        except OSError:  # it has ended
            continue
        if int(status["Pid"]) == process:
            name = "server"
        elif int(status["PPid"]) == process and "LokyProcess" in command:
            name = "TensorFlow" if "libtensorflow" in mapped else "answers"
        else:
            continue
        found[name] = int(status["VmRSS"].split()[0]) / 1024
    return found


async def visit(
    server: Server,
    images: list[str],
    addresses: dict[str, str],
    until: float,
    times: dict[str, list[float]],
) -> list[str]:
    """Go on opening pages until a moment; return the errors."""
    errors, chance = [], random.Random(images[0])
    async with Visitor(server) as visitor:
        for number in count():
            await asyncio.sleep(chance.uniform(*LOOKS))
            if time.monotonic() > until:
                break
            address = addresses | {"image": images[number // 2 % len(images)]}
            if number % 2:
                opened = await visitor.open(MAPS, **address, layer=chance.choice(LAYERS))
                times["Feature maps"].append(opened.end)
            else:
                opened = await visitor.open("Compare", **address)
                if len(opened.answers) != 2 or len(opened.maps) != 2:
                    errors.append(f"{len(opened.answers)} answers, {len(opened.maps)} maps")
                    continue
                times["Compare"].append(max(opened.answers))
                times["Why"].append(max(opened.maps))
            errors += opened.errors
    return errors


async def crowd(
    server: Server, images: list[str], addresses: dict[str, str], visitors: int, seconds: float
) -> None:
    """Let visitors come and go on for so many seconds; print how long they wait."""
    times: dict[str, list[float]] = defaultdict(list)
    assert server.process is not None
    async with Visitor(server) as first:  # TensorFlow starts once
        for page in ("Compare", MAPS):
            await first.open(page, image=images[0], **addresses)
    until = time.monotonic() + seconds
    tasks = [
        asyncio.create_task(visit(server, images[number::visitors], addresses, until, times))
        for number in range(visitors)
    ]
    for _ in range(7):
        memory = resident(server.process.pid)
        text = ", ".join(f"{name} {size:.0f} MB" for name, size in sorted(memory.items()))
        sys.stdout.write(f"{seconds - (until - time.monotonic()):4.0f} s: {text}\n")
        sys.stdout.flush()
        await asyncio.sleep(max(0, min(seconds / 6, until - time.monotonic())))
    errors = [error for found in await asyncio.gather(*tasks) for error in found]
    for name, found in times.items():
        middle, late = median(found), quantiles(found, n=20)[-1]
        sys.stdout.write(
            f"{name}: median {middle:.2f} s, 95th percentile {late:.2f} s "
            f"({late / middle:.1f} ×), {len(found)} times\n"
        )
    sys.stdout.write(f"{len(errors)} errors {sorted(set(errors))[:5]}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="class folders, or splits with class folders")
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--idle", action="store_true", help="no run trains meanwhile")
    args = parser.parse_args()
    with ours.empty_home() as settings:
        measure(args.folder.resolve(), args.visitors, args.seconds, args.idle, settings)


def measure(folder: Path, visitors: int, seconds: float, idle: bool, settings: Settings) -> None:
    images, config = bring(folder, settings), RunConfig(DATASET, size=SIZE)
    run, process = start_run(config, settings)
    process.wait()
    network = backbone_network(ModelRef(config.backbone, SIZE), settings)
    wait_for_runtime(network, settings)
    server = Server(settings, settings.home / "server.log")
    server.start()
    try:
        if not idle:
            long = RunConfig(DATASET, size=160, epochs=2, fine_tune_epochs=500)
            trained, process = start_run(long, settings)
        addresses = {"dataset": DATASET, "run": run, "size": str(SIZE)}
        asyncio.run(crowd(server, images, addresses, visitors, seconds))
        if not idle:
            stop_run(trained, settings)
            process.wait()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
