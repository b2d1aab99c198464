"""The recipe of a script: gather the facts, write the cells, put them on paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tlcore.errors import UnknownName
from tlcore.evaluation.script.cells import cells_of, doc_of
from tlcore.evaluation.script.facts import Facts, facts_of
from tlcore.evaluation.script.paper import as_notebook, as_python
from tlcore.settings import Settings
from tlcore.storage import write_output
from tlcore.training.config import RunConfig
from tlcore.training.run_label import run_title
from tlcore.training.store import load_run


def script_of(run: str, ending: str, settings: Settings) -> str:
    """Return a run as the text of a script or of a notebook.

    Args:
        run: the id of a run with a network.
        ending: a key of PAPERS.
        settings: where runs and weights lie.

    Raises:
        RunError: no such run, or it has no network or no epoch behind it.
        UnknownName: no such ending.
    """
    if ending not in PAPERS:
        raise UnknownName.of("ending of a script's file", ending, PAPERS)
    found = load_run(run, settings)
    return PAPERS[ending](facts_of(found, run_title(found.info), settings, _cut))


def write_script(run: str, target: Path, settings: Settings) -> None:
    """Write a run as a script or a notebook, by the file's ending, whole or not at all.

    Raises:
        RunError, UnknownName: as ``script_of``; nowhere to write.
    """
    write_output(target, script_of(run, target.suffix, settings).encode())


def _cut(config: RunConfig) -> str:
    from tlcore.models.build import architecture  # loads TensorFlow: only where it is needed
    from tlcore.models.catalogue import backbone
    from tlcore.models.freeze import cut_below

    row, imagenet = backbone(config.backbone), not config.random_weights
    base = architecture(row, config.size, top=False, imagenet=imagenet)
    return cut_below(base, config.unfreeze_from)


def _python(facts: Facts) -> str:
    doc = doc_of(facts, "    python script.py FOLDER")
    return as_python(doc, cells_of(facts, "sys.argv[1]"))


def _notebook(facts: Facts) -> str:
    doc = doc_of(facts, "\nPut the folder of the pictures into DATA below.")
    return as_notebook(f"# {doc}", cells_of(facts, '"pictures"'))


PAPERS: Mapping[str, Callable[[Facts], str]] = MappingProxyType(
    {".py": _python, ".ipynb": _notebook}
)
