"""Settings read from the environment, and the paths of the workspace; see ``.docs/settings.md``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tlcore.errors import BadConfig
from tlcore.text import parse_whole_number

PROJECT = Path(__file__).resolve().parent.parent
KERAS_WEIGHTS_URL = "https://storage.googleapis.com"
RUNTIMES = ("auto", "keras")


@dataclass(frozen=True)
class Limits:
    """What an upload may hold. Shown on the Upload page and in README from here."""

    file_bytes: int = 50 * 2**20  # of one image file
    pixels: int = 50_000_000  # width × height, checked before decoding
    archive_bytes: int = 500 * 2**20  # of one zip as it is uploaded
    archive_files: int = 20_000  # entries in one zip
    archive_unpacked_bytes: int = 4 * 2**30
    archive_ratio: int = 200  # unpacked bytes per packed byte, for one entry


@dataclass(frozen=True)
class Settings:
    """Folders, limits and sizes of caches; created once and passed to functions."""

    home: Path  # TLCORE_HOME: everything is kept under it
    keras_home: Path  # KERAS_HOME: Keras' own folder; weights lie in models/
    weights_url: str = KERAS_WEIGHTS_URL  # where weights are downloaded from
    models_kept: int = 3  # networks that the inference worker keeps loaded
    activation_bytes: int = 256 * 2**20  # maps that the inference worker keeps computed
    runs_at_once: int = 1  # training runs that work at the same time
    server_folders: tuple[Path, ...] = ()  # that the Upload page may read by path
    cache_bytes: int = 10 * 2**30  # of the feature cache; the oldest entries go first
    top_images_bytes: int = 512 * 2**20  # of ``top_images``; the longest unused goes first
    network_bytes: int = 2 * 2**30  # of ``networks``; the longest unused goes first
    # What computes frozen networks: "keras", "auto" for LiteRT where it is faster and equal, or, in
    # the process that answers, "litert" alone.
    runtime: str = "keras"
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read TLCORE_HOME, KERAS_HOME and the others below; what is not set has its default.

        Raises:
            BadConfig: a number is no whole number of at least 1, or the runtime is unknown.
        """
        runtime = environ.get("TLCORE_RUNTIME") or RUNTIMES[0]
        if runtime not in RUNTIMES:
            raise BadConfig(f"Expected TLCORE_RUNTIME to be auto or keras. Received {runtime!r}.")
        return cls(
            home=Path(environ.get("TLCORE_HOME") or PROJECT / "workspace").expanduser().resolve(),
            keras_home=Path(environ.get("KERAS_HOME") or "~/.keras").expanduser().resolve(),
            weights_url=environ.get("TLCORE_WEIGHTS_URL") or KERAS_WEIGHTS_URL,
            models_kept=_count(environ, "TLCORE_MODELS_KEPT", cls.models_kept),
            activation_bytes=_count(environ, "TLCORE_ACTIVATION_BYTES", cls.activation_bytes),
            runs_at_once=_count(environ, "TLCORE_RUNS_AT_ONCE", cls.runs_at_once),
            server_folders=tuple(
                Path(part).expanduser().resolve()
                for part in (environ.get("TLCORE_SERVER_FOLDERS") or "").split(os.pathsep)
                if part
            ),
            cache_bytes=_count(environ, "TLCORE_CACHE_BYTES", cls.cache_bytes),
            runtime=runtime,
        )

    def to_environment(self) -> dict[str, str]:
        """Return the variables that make a child process read these same settings."""
        return {
            "TLCORE_HOME": str(self.home),
            "KERAS_HOME": str(self.keras_home),
            "TLCORE_WEIGHTS_URL": self.weights_url,
            "TLCORE_MODELS_KEPT": str(self.models_kept),
            "TLCORE_ACTIVATION_BYTES": str(self.activation_bytes),
            "TLCORE_RUNS_AT_ONCE": str(self.runs_at_once),
            "TLCORE_SERVER_FOLDERS": os.pathsep.join(map(str, self.server_folders)),
            "TLCORE_CACHE_BYTES": str(self.cache_bytes),
            "TLCORE_RUNTIME": "keras" if self.runtime == "keras" else "auto",
            # TensorFlow's messages about missing GPUs at its start are no errors
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }

    @property
    def datasets(self) -> Path:
        return self.home / "datasets"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def top_images(self) -> Path:
        """Stored highest activations, by dataset and model; can be deleted at any time."""
        return self.home / "top_images"

    @property
    def features(self) -> Path:
        """The feature cache: nothing in it is lost for good, it can be deleted at any time."""
        return self.home / "feature_cache"

    @property
    def networks(self) -> Path:
        """Frozen networks converted for LiteRT; can be deleted at any time."""
        return self.home / "networks"

    @property
    def folder_facts(self) -> Path:
        """Facts of the images of folders in place; can be deleted at any time."""
        return self.home / "folder_facts"

    @property
    def weights(self) -> Path:
        """The folder in which Keras itself caches weight files."""
        return self.keras_home / "models"

    @property
    def work(self) -> Path:
        """Work folders of exports in progress; leftovers of ended processes are removed."""
        return self.home / "work"

    @property
    def jobs(self) -> Path:
        """A folder for each job that a page has started: downloads, reports, exports."""
        return self.home / "jobs"


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or ""
    number = parse_whole_number(text) if text else default
    if not number:
        raise BadConfig(f"Expected {name} to be a whole number of at least 1. Received {text!r}.")
    return number
