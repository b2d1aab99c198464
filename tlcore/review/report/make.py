"""The recipe of a report: gather, write, keep it whole or not at all."""

from __future__ import annotations

from pathlib import Path

from tlcore.review.evaluation import Evaluation
from tlcore.review.judged import Judged
from tlcore.review.progress import Progress
from tlcore.review.report.material import gather
from tlcore.review.report.page import page
from tlcore.review.suspects import Suspects
from tlcore.review.writing import write_out
from tlcore.runs.store import load_run
from tlcore.settings import Settings

STEPS = 4  # two are behind when all that a network has to say is known


def write_report(
    target: Path,
    evaluation: Evaluation,
    judged: Judged,
    suspects: Suspects | None,
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
    write_out(target, page(material, settings.limits))
