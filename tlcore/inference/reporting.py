"""A run's report: its network is asked what is not kept yet, then all is written down."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tlcore.errors import RunError, WeightsMissing
from tlcore.evaluation.label_issues import LabelIssues, find_label_issues
from tlcore.evaluation.predictions import judge
from tlcore.evaluation.progress import Progress
from tlcore.evaluation.report.make import STEPS, write_report
from tlcore.inference.judging import answers, evaluate_run
from tlcore.settings import Settings


def report_run(run: str, target: Path, settings: Settings, progress: Progress) -> None:
    """Write the report of a run with a network. Raises as ``judge`` and ``write_report`` do."""
    progress(0, STEPS, "Asking the network about all pictures")
    evaluation = evaluate_run(settings, run)
    judged = judge(run, evaluation.part, settings, partial(answers, settings, run))
    progress(1, STEPS, "Looking for labels that may be wrong")
    suspects = _suspects(settings, run)
    write_report(target, evaluation, judged, suspects, settings, progress)


def _suspects(settings: Settings, run: str) -> LabelIssues | None:
    """Return the doubted labels; None where the features are gone and cannot be had again."""
    try:
        return find_label_issues(settings, run)
    except (RunError, WeightsMissing):
        return None
