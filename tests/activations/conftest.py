"""A few backbones for the tests of this folder, with --all every one."""

from __future__ import annotations

import pytest

from tests.backbones import parametrize_rows


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize_rows(metafunc)
