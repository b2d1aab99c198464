"""The rules of the house, held by tests: which way imports go, and what stays out of where."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from tlcore.settings import PROJECT

# Each package may import itself and those before it.
ORDER = (
    "text",
    "errors",
    "percentages",
    "settings",
    "storage",
    "locks",
    "migration",
    "jobs",
    "datasets",
    "models",
    "activations",
    "training",
    "evaluation",
    "exports",
    "inference",
    "cli",
    "ui",
)
SIDE_BY_SIDE = {("ui", "cli"), ("cli", "ui")}  # two adapters: neither imports the other
# The modules that import Keras or TensorFlow at their top: all else can stay in the web server.
KERAS = {
    "models": {"build", "loaded_model"},
    "activations": {"extract"},
    "training": {"fine_tune", "transfer_model"},
    "exports": {"bundle", "bundle_predict"},
}
SOURCES = sorted((PROJECT / "tlcore").rglob("*.py"))
PAGES = [PROJECT / "app.py", *sorted((PROJECT / "pages").glob("*.py"))]


def imports(path: Path, *, at_top: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_top else ast.walk(tree):
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


def package(path: Path) -> str:
    return path.relative_to(PROJECT / "tlcore").parts[0].removesuffix(".py")


def test_imports_go_down_and_streamlit_and_keras_stay_where_they_belong() -> None:
    wrong = []
    for path in SOURCES:
        here, modules = package(path), set(imports(path))
        below = ORDER[: ORDER.index(here) + 1] if here in ORDER else ORDER
        for module in modules:
            parts = module.split(".")
            if parts[0] == "tlcore" and len(parts) > 1 and here not in ("__init__", "__main__"):
                there = parts[1]
                if there not in below or (here, there) in SIDE_BY_SIDE:
                    wrong.append(f"{name_of(path)} imports {module}")
        outside = {module.split(".")[0] for module in modules}
        if here != "ui" and outside & {"streamlit", "plotly"}:
            wrong.append(f"{name_of(path)} imports Streamlit or Plotly")
        at_top = {module.split(".")[0] for module in imports(path, at_top=True)}
        if path.stem not in KERAS.get(here, set()) and at_top & {"keras", "tensorflow"}:
            wrong.append(f"{name_of(path)} imports Keras")
    for path in PAGES:
        if len(path.read_text(encoding="utf-8").splitlines()) >= 80:
            wrong.append(f"{name_of(path)} has 80 lines or more")
        if {module.split(".")[0] for module in imports(path)} & {"keras", "tensorflow"}:
            wrong.append(f"{name_of(path)} imports Keras")
    assert wrong == []


def test_no_module_leads_back_to_itself() -> None:
    """Imports within functions count as well; a cycle raises CycleError, which names it."""
    below = [path for path in SOURCES if dotted(path) != "tlcore"]  # it loads the API when asked
    modules = {dotted(path) for path in below}
    graph = {dotted(path): {name for name in named(path) if name in modules} for path in below}
    assert len(list(TopologicalSorter(graph).static_order())) == len(below)


def test_what_the_web_server_imports_loads_no_keras() -> None:
    modules = [
        dotted(path)
        for path in SOURCES
        if package(path) == "ui" or name_of(path) == "tlcore/inference/client.py"
    ]
    code = (
        f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
        "sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_is_documented() -> None:
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
    page = (PROJECT / ".docs" / "settings.md").read_text(encoding="utf-8")
    assert [name for name in sorted(names) if name not in page] == []
