"""What every test can ask for. Nothing here stands in for a thing that a user would have."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.small_disk import mount
from tlcore.datasets.sample_dataset import SAMPLE_NAME, ensure_sample
from tlcore.models import conversion
from tlcore.models.predictions import ModelRef
from tlcore.settings import PROJECT, Settings
from tlcore.storage import lock_file

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = PROJECT.parent / "shared"
ORDER = {"browser": -2, "exports": -1, "models": -1, "training": -1, "pages": 0, "ui": 2,
         "datasets": 2}  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="every backbone, not one of each kind of preprocessing"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: a test that runs with --all alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put folders of slow tests first and of quick ones last, so that the workers end together.
    Deselect what is for --all alone: a skip would say that something is missing here."""
    items.sort(key=lambda item: ORDER.get(Path(item.nodeid).parts[1], 1))
    if config.getoption("--all"):
        return
    full = {item for item in items if item.get_closest_marker("full")}
    config.hook.pytest_deselected(items=full)
    items[:] = [item for item in items if item not in full]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """File by file, but the browser tests in two parts: each has one server and one Chromium."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            part = f"browser {file < 'tests/browser/test_p'}"
            return part if file.startswith("tests/browser/") else file

    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def converted_networks_are_used() -> None:
    """However slow a busy machine makes one when it is compared with Keras."""
    conversion.SLOWEST = 0.0


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real weights and images beside the project; what needs them is skipped without."""
    if not SHARED.is_dir():
        pytest.skip("real weights and images are not beside the project")
    return SHARED


@pytest.fixture(scope="session")
def photos(shared: Path) -> list[Path]:
    """ImageNet images; each file's name begins with the wnid of its class."""
    return sorted((shared / "photos").glob("*.JPEG"))


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home for what is made once for all workers: they change nothing in it."""
    place = tmp_path_factory.getbasetemp()
    place = place.parent if "PYTEST_XDIST_WORKER" in os.environ else place
    return Settings(home=place / "common", keras_home=place / "none", runtime="auto")


@pytest.fixture(scope="session")
def sample_folder(common: Settings) -> Path:
    """The drawn sample, which is the same every time."""
    ensure_sample(common)  # a second worker waits for the first
    return common.datasets / SAMPLE_NAME


@pytest.fixture(scope="session")
def converted(common: Settings) -> Path:
    """Converted networks: MobileNet 0.25 at 64 px with random weights."""
    from tlcore.training.transfer_model import convert_backbone  # loads TensorFlow

    common.home.mkdir(exist_ok=True)
    with lock_file(common.home / "converted.lock"):
        if not common.networks.is_dir():
            ref = ModelRef("MobileNet-0.25", 64, random=True)
            assert convert_backbone(ref, common).difference < 1e-5
    return common.networks


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An empty home, and no weights at all."""
    return Settings(home=tmp_path / "home", keras_home=tmp_path / "keras")


@pytest.fixture
def real(tmp_path: Path, shared: Path) -> Settings:
    """An empty home, and the real weights."""
    return Settings(home=tmp_path / "home", keras_home=shared / "keras")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = mount("-t", "tmpfs", "-o", "size=32m", "tmpfs", place)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr}")
    yield place
    while place.is_mount():
        subprocess.run(["umount", "--lazy", place], check=True)
