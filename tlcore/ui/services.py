"""What this server keeps alive for all its sessions: the inference process, started processes."""

from __future__ import annotations

import subprocess
import threading

import streamlit as st

from tlcore.inference.client import Inference
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import resume_run, start_run


class Processes:
    """Processes that this server has started, polled so that none is left behind as a zombie.

    A start has a token of its own: the second click of a double click brings the same token and
    gets the same run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: dict[str, subprocess.Popen[bytes]] = {}
        self._runs: dict[str, str] = {}  # token → run id

    def start_run(self, token: str, config: RunConfig, settings: Settings) -> str:
        """Start a run, once for each token, and return its id; one that was deleted anew."""
        with self._lock:
            if token not in self._runs or not (settings.runs / self._runs[token]).exists():
                self._runs[token], self._alive[token] = start_run(config, settings)
            return self._runs[token]

    def resume_run(self, run: str, settings: Settings) -> None:
        """Let a run go on that ended before its time. Raises as the launcher does."""
        with self._lock:
            _, self._alive[f"resumed {run}"] = resume_run(run, settings)

    def reap(self) -> None:
        """Let go of the processes that have ended."""
        with self._lock:
            for name in list(self._alive):
                self._works(name)

    def _works(self, name: str) -> bool:
        process = self._alive.get(name)
        if process is None:
            return False
        if process.poll() is None:
            return True
        del self._alive[name]
        return False


@st.cache_resource(show_spinner=False)
def processes() -> Processes:
    return Processes()


def inference(settings: Settings) -> Inference:
    """The one warm process that answers for all pages."""
    return _inference(settings)


@st.cache_resource(
    show_spinner=False, max_entries=1, on_release=Inference.close, hash_funcs={Settings: repr}
)
def _inference(settings: Settings) -> Inference:
    return Inference(settings)
