"""What every test can ask for. Nothing here stands in for a thing that a user would have."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_disk import mount
from tlcore.models import runtime
from tlcore.settings import PROJECT, Settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = PROJECT.parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="every backbone, not one of each kind of preprocessing"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: a test that runs with --all alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is for --all alone: a skip would say that something is missing here."""
    if config.getoption("--all"):
        return
    full = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=full)
    items[:] = [item for item in items if item not in full]


@pytest.fixture(scope="session", autouse=True)
def converted_networks_are_used() -> None:
    """However slow a busy machine makes one when it is compared with Keras."""
    runtime.SLOWEST = 0.0


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
