"""Networks that several tests ask, loaded once: they are read-only."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.backbones import parametrize_rows as pytest_generate_tests  # noqa: F401
from tlcore.models.loaded_model import LoadedModel, load_pretrained
from tlcore.models.predictions import ModelRef
from tlcore.settings import PROJECT, Settings

Loaded = Callable[[ModelRef], LoadedModel]


@pytest.fixture(scope="session")
def loaded(shared: Path) -> Loaded:
    """Load a network with real weights, or give the one that is loaded."""
    settings = Settings(home=PROJECT / "none", keras_home=shared / "keras")
    return cache(lambda ref: load_pretrained(ref, settings))
