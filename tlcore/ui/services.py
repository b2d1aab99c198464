"""What this server holds for all its sessions: the inference worker, and the runs it started."""

from __future__ import annotations

import subprocess
import threading
import time

import streamlit as st

from tlcore.inference.client import Inference
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import resume_run, start_run

DOUBLE_CLICK = 3.0  # s within which an equal start is the second click of a double click
_start_lock = threading.Lock()
_latest: dict[str, tuple[str, float]] = {}  # run id and time of its start by config


def start_run_once(config: RunConfig, settings: Settings) -> str:
    """Start a run and return its id; both clicks of a double click start one run.

    Raises:
        TLCoreError: the run cannot be started, as ``lifecycle.start_run`` says.
    """
    with _start_lock:
        run, moment = _latest.get(repr(config), ("", 0.0))
        if time.monotonic() - moment < DOUBLE_CLICK and (settings.runs / run).exists():
            return run
        run, process = start_run(config, settings)
        _latest[repr(config)] = run, time.monotonic()
    _wait_for(process)
    return run


def resume_run_once(run: str, settings: Settings) -> None:
    """Resume a run that ended before its last epoch. Raises as ``lifecycle.resume_run`` does."""
    with _start_lock:
        _, process = resume_run(run, settings)
    _wait_for(process)


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process in the background, so that no zombie is left behind."""
    threading.Thread(target=process.wait, daemon=True).start()


@st.cache_resource(
    show_spinner=False, max_entries=1, on_release=Inference.close, hash_funcs={Settings: repr}
)
def inference(settings: Settings) -> Inference:
    """Return the one warm worker that predicts for all pages."""
    return Inference(settings)
