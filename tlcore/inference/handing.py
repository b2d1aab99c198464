"""What a page hands over that needs a network to be looked at first."""

from __future__ import annotations

from tlcore.evaluation.script.make import script_of
from tlcore.settings import Settings


def script(settings: Settings, run: str, ending: str) -> str:
    """Return a run as the text of a script (".py") or of a notebook (".ipynb")."""
    return script_of(run, ending, settings)
