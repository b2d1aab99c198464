"""The rules of the house, held by tests: which way imports go, and what stays out of where."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tlcore.settings import PROJECT

# Each room may import itself and those before it.
ORDER = (
    "text",
    "errors",
    "settings",
    "percentages",
    "storage",
    "datasets",
    "models",
    "training",
    "evaluation",
    "inference",
    "cli",
    "ui",
)
SIDE_BY_SIDE = {("ui", "cli"), ("cli", "ui")}  # two adapters: neither knows the other
KERAS_ROOMS = {
    "models": {
        "build",
        "fetch",
        "folding",
        "freeze",
        "gradcam",
        "heads",
        "layers",
        "network",
        "shapes",
    },
    "models/maps": {"depth", "walk"},
    "training": {"network", "top", "trained"},
    "evaluation/bundle": {"convert", "graph", "make", "predict"},
}
SOURCES = sorted((PROJECT / "tlcore").rglob("*.py"))
PAGES = [PROJECT / "app.py", *sorted((PROJECT / "pages").glob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def named(path: Path) -> Iterator[str]:
    """The modules an import may mean: of ``from a import b`` both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    yield from imports(path)


def dotted(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def room(path: Path) -> str:
    return path.relative_to(PROJECT / "tlcore").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_go_down(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "tlcore" and len(parts) > 1:
            assert ORDER.index(parts[1]) <= ORDER.index(here), f"{here} imports {module}"
            assert (here, parts[1]) not in SIDE_BY_SIDE


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_streamlit_and_keras_stay_in_their_rooms(path: Path) -> None:
    found = {module.split(".")[0] for module in imports(path)}
    if room(path) != "ui":
        assert not found & {"streamlit", "plotly"}
    folder = path.parent.relative_to(PROJECT / "tlcore").as_posix()
    if path.stem not in KERAS_ROOMS.get(folder, set()):
        assert not found & {"keras", "tensorflow"}


def test_no_module_leads_back_to_itself() -> None:
    """Imports within functions count as well; a circle raises CycleError, which names it."""
    known = {dotted(path) for path in SOURCES}
    graph = {dotted(path): {name for name in named(path) if name in known} for path in SOURCES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(SOURCES)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_page_is_short_and_knows_only_the_ui_above_the_core(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80
    assert not {module.split(".")[0] for module in imports(path)} & {"keras", "tensorflow"}


def test_what_the_web_server_imports_loads_no_keras() -> None:
    modules = [
        dotted(path)
        for path in SOURCES
        if room(path) == "ui" or name_of(path) == "tlcore/inference/client.py"
    ]
    code = (
        f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
        "sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_is_in_the_readme() -> None:
    source = (PROJECT / "tlcore" / "settings.py").read_text(encoding="utf-8")
    names = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(("TLCORE_", "KERAS_HOME"))
        and node.value.isupper()
    }
    assert len(names) > 3
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(names) if name not in readme] == []


@pytest.mark.parametrize("tool", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]])
def test_the_tools_find_nothing(tool: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *tool], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
