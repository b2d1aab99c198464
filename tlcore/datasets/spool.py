"""Files that stay open as long as an image in them is needed, and close by themselves then."""

from __future__ import annotations

import os
import tempfile
import weakref
from functools import partial
from pathlib import Path
from typing import IO

from tlcore.datasets.dataset import Incoming


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading; it is closed when nobody refers to it any longer."""
    return _own(os.open(path, os.O_RDONLY), "rb")


def temporary_file() -> IO[bytes]:
    """Return an empty file without a name; it is gone when nobody refers to it any longer."""
    descriptor, path = tempfile.mkstemp()
    Path(path).unlink()
    return _own(descriptor, "w+b")


def _own(descriptor: int, mode: str) -> IO[bytes]:
    file: IO[bytes] = os.fdopen(descriptor, mode, closefd=False)
    weakref.finalize(file, os.close, descriptor)
    return file


class Spool:
    """Images that are taken out of a file that holds several, on disk until they are imported."""

    def __init__(self) -> None:
        self._file = temporary_file()
        self.size = 0  # bytes

    def append(self, file: str, data: bytes) -> Incoming:
        """Put the bytes of an image aside and return it; read from any thread."""
        self._file.write(data)
        self._file.flush()
        incoming = Incoming(file, partial(self._read, self.size, len(data)), len(data))
        self.size += len(data)
        return incoming

    def _read(self, start: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, start)
