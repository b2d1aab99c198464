"""Frames of a short video as images of one class; needs PyAV, which is optional."""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
from PIL import Image

from tlcore.datasets.dataset import Incoming
from tlcore.datasets.spool import Spool
from tlcore.errors import BadDataset
from tlcore.settings import Limits

VIDEO_ENDINGS = (".mp4", ".mov", ".webm", ".m4v", ".mkv", ".avi")
FRAMES_PER_SECOND = 2
SAME = 2.0  # grey levels, on average, by which two frames are nearly identical
QUALITY = 92  # of the JPEG in which a frame is stored
_THUMBNAIL = (32, 32)  # pixels, on which frames are compared
_FRAME = re.compile(rf"(.+({'|'.join(map(re.escape, VIDEO_ENDINGS))})) \d+\.jpg", re.IGNORECASE)


def recording_of(file: str) -> str:
    """Return the video that an image is a frame of, with its folders; "" for any other image."""
    match = _FRAME.fullmatch(file)
    return match[1] if match else ""


def read_video(file: IO[bytes], name: str, limits: Limits) -> list[Incoming]:
    """Take frames out of a video: two a second, without those nearly identical to the one before.

    Args:
        file: can seek.
        name: of the video.
        limits: of the number of frames.

    Returns:
        JPEGs, upright, named after the video: "wave.mp4 0001.jpg".

    Raises:
        BadDataset: PyAV is not installed, or the video has no frame.
    """
    try:
        import av
    except ImportError as error:
        raise BadDataset(
            f"{name}: Expected images. Received a video. Install PyAV (pip install av) and try "
            "again, or save single images from the video."
        ) from error
    base, spool, due, last = PurePosixPath(name).name, Spool(), 0.0, None
    frames: list[Incoming] = []
    with av.open(file, "r") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            time = float(frame.time or 0)
            if time < due or len(frames) == limits.archive_files:
                continue
            due = time + 1 / FRAMES_PER_SECOND
            image = _upright(frame)
            grey = np.asarray(image.convert("L").resize(_THUMBNAIL), np.float32)
            if last is not None and np.abs(grey - last).mean() < SAME:
                continue
            last = grey
            stored = io.BytesIO()
            image.save(stored, "JPEG", quality=QUALITY)
            frames.append(spool.append(f"{base} {len(frames) + 1:04}.jpg", stored.getvalue()))
    if not frames:
        raise BadDataset(f"{name}: Expected a video. Received one without a frame.")
    return frames


def _upright(frame: Any) -> Image.Image:
    """Return a frame as it is shown: the file may say that it is to be turned."""
    image: Image.Image = frame.to_image()
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
