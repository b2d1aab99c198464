"""Downloading weights, by Keras itself, with progress, and whole or not at all."""

from __future__ import annotations

import socket
import tempfile
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import keras

from tlcore.errors import WeightsMissing
from tlcore.models.catalog import Backbone
from tlcore.models.weights import address, fault_of, file_name
from tlcore.settings import Settings
from tlcore.storage import explain_os_error, is_disk_error

Progress = Callable[[int, int | None], None]  # bytes here, bytes in all where that is known
SILENCE = 30.0  # s without a byte before a download is given up


def fetch(
    backbone: Backbone, size: int, settings: Settings, *, top: bool, progress: Progress
) -> Path:
    """Download one weight file into Keras' folder and return its path.

    Keras writes into a folder of its own beside the others and the file moves over when it is
    complete and what it should be, so that an interrupted download never looks like weights. A
    damaged file of that name is replaced.

    Raises:
        WeightsMissing: the address did not answer, or sent something else, or there is no room.
    """
    target = settings.weights / file_name(backbone, size, top=top)
    origin = address(backbone, size, settings, top=top)
    socket.setdefaulttimeout(SILENCE)
    try:
        settings.weights.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=settings.weights) as partial:
            with _watching(Path(partial) / target.name, _length(origin), progress):
                path = keras.utils.get_file(
                    target.name,
                    origin,
                    file_hash=backbone.files.hash_of(top=top) or None,
                    cache_dir=partial,
                    cache_subdir="",
                )
            if fault := fault_of(Path(path), backbone, top=top):
                raise WeightsMissing(fault)
            Path(path).replace(target)
    except Exception as error:  # Keras raises bare Exception for a network that fails
        raise WeightsMissing(
            f"Expected to download {target.name} from {origin}. Received: {error}. "
            f"{_advice(error, settings)}"
        ) from error
    return target


def _advice(error: Exception, settings: Settings) -> str:
    if isinstance(error, OSError) and is_disk_error(error):
        return explain_os_error(error)
    return f"Check the network, or put the file into {settings.weights} yourself."


def _length(origin: str) -> int | None:
    request = urllib.request.Request(origin, method="HEAD")
    with urllib.request.urlopen(request) as answer:
        return int(answer.headers["Content-Length"] or 0) or None


class _watching:
    """Report the size of a growing file four times a second, and once at the end."""

    def __init__(self, path: Path, total: int | None, progress: Progress) -> None:
        self.path, self.total, self.progress = path, total, progress
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _watch(self) -> None:
        while True:
            last = self.over.wait(0.25)
            if self.path.exists():
                self.progress(self.path.stat().st_size, self.total)
            if last:
                return
