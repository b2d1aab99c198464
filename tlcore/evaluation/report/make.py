"""The recipe of a report: gather, write, keep it whole or not at all."""

from __future__ import annotations

from pathlib import Path

from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.judged import Judged
from tlcore.evaluation.label_issues import LabelIssues
from tlcore.evaluation.progress import Progress
from tlcore.evaluation.report.material import gather
from tlcore.evaluation.report.page import page
from tlcore.settings import Settings
from tlcore.storage import write_output
from tlcore.training.store import load_run

STEPS = 4  # two are behind when all that a network has to say is known


def write_report(
    target: Path,
    evaluation: Evaluation,
    judged: Judged,
    suspects: LabelIssues | None,
    settings: Settings,
    progress: Progress,
) -> None:
    """Write a run's report as one HTML file.

    Args:
        target: the file.
        evaluation: the run's numbers.
        judged: the answers that they count.
        suspects: labels that may be wrong, where that is known.
        settings: where runs and data sets lie.
        progress: told each step before it begins.

    Raises:
        RunError: no such run, or nowhere to write.
    """
    progress(2, STEPS, "Looking for doubts about the pictures")
    material = gather(load_run(evaluation.run, settings), evaluation, judged, suspects, settings)
    progress(3, STEPS, "Writing")
    write_output(target, page(material, settings.limits).encode())
