"""What this server holds for all its sessions: the inference worker, and the runs it started."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass, field

import streamlit as st

from tlcore.inference.client import Inference
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import resume_run, start_run

DOUBLE_CLICK = 3.0  # s within which an equal start is the second click of a double click


@dataclass
class _Starts:
    lock: threading.Lock = field(default_factory=threading.Lock)
    latest: dict[str, tuple[str, float]] = field(default_factory=dict)  # run id and time by config


def start_run_once(config: RunConfig, settings: Settings) -> str:
    """Start a run and return its id; both clicks of a double click start one run.

    Raises:
        TLCoreError: the run cannot be started, as ``lifecycle.start_run`` says.
    """
    starts = _starts()
    with starts.lock:
        run, moment = starts.latest.get(repr(config), ("", 0.0))
        if time.monotonic() - moment < DOUBLE_CLICK and (settings.runs / run).exists():
            return run
        run, process = start_run(config, settings)
        starts.latest[repr(config)] = run, time.monotonic()
    _wait_for(process)
    return run


def resume_run_once(run: str, settings: Settings) -> None:
    """Resume a run that ended before its last epoch. Raises as ``lifecycle.resume_run`` does."""
    with _starts().lock:
        _, process = resume_run(run, settings)
    _wait_for(process)


def inference(settings: Settings) -> Inference:
    """Return the one warm worker that predicts for all pages."""
    return _inference(settings)


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process in the background, so that no zombie is left behind."""
    threading.Thread(target=process.wait, daemon=True).start()


@st.cache_resource(show_spinner=False)
def _starts() -> _Starts:
    return _Starts()


@st.cache_resource(
    show_spinner=False, max_entries=1, on_release=Inference.close, hash_funcs={Settings: repr}
)
def _inference(settings: Settings) -> Inference:
    return Inference(settings)
