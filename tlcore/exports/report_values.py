"""Images as the network sees them, small enough to travel inside a page."""

from __future__ import annotations

import base64
import io
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tlcore.datasets.dataset import SPLITS, Sample
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read
from tlcore.datasets.quality_report import QualityReport
from tlcore.datasets.quality_scan import examine, examine_folder
from tlcore.errors import BadDataset, BadImage
from tlcore.evaluation.corrections import (
    Corrections,
    count_corrections,
    drop_confirmed,
    load_run_dataset,
)
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.label_issues import LabelIssues
from tlcore.evaluation.predictions import SplitPredictions
from tlcore.exports.report_charts import text
from tlcore.settings import Limits, Settings
from tlcore.training.provenance import Provenance, list_samples, read_provenance_or_default
from tlcore.training.run import Run, label_runs
from tlcore.training.store import list_runs

SIDE = 224  # px; drawn at about half of it, so that it is sharp on every screen and on paper
QUALITY = 82


def face(path: Path, how: str, limits: Limits) -> str:
    """Return an image file as a data address, a square of SIDE px; "" where it is gone."""
    try:
        square = fit(read(path, limits), SIDE, how)
    except BadImage:
        return ""
    buffer = io.BytesIO()
    Image.fromarray(square).save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def tiled(tiles: Iterable[tuple[str, str, str]]) -> str:
    """Return images in rows: each an address, its file's name, its caption in HTML."""
    return "".join(
        f'<figure class=tile title="{text(file)}">'
        f"{_image(address)}<figcaption>{caption}</figcaption></figure>"
        for address, file, caption in tiles
    ).join(("<div class=tiles>", "</div>"))


def _image(address: str) -> str:
    return f'<img src="{address}" alt="">' if address else "<span class=gone>gone</span>"


# All that a report says, gathered before a word of it is written.


@dataclass(frozen=True, eq=False)
class Material:
    """One run, judged, with its dataset as it stands."""

    run: Run
    title: str
    evaluation: Evaluation
    judged: SplitPredictions  # the images that the evaluation counts
    train: tuple[Sample, ...]
    counts: dict[str, dict[str, int]]  # part → class → images, as the run divided them
    checkup: QualityReport | None  # None: the dataset is gone
    suspects: LabelIssues | None  # None: not known
    corrections: Corrections  # labels changed after a model had answered
    facts: Provenance  # versions, machine, seed and data hash, as the run noted them
    made: float  # s since 1970


def gather(
    run: Run,
    evaluation: Evaluation,
    judged: SplitPredictions,
    suspects: LabelIssues | None,
    settings: Settings,
) -> Material:
    """Gather what a report says of a run.

    Args:
        run: with a network.
        evaluation: its numbers.
        judged: the answers that they count.
        suspects: labels that may be wrong, where that is known.
        settings: where the dataset lies.
    """
    samples = {part: list_samples(run.info, part) for part in SPLITS}
    if judged.split == "test":
        samples["test"] = list(judged.samples)
    return Material(
        run=run,
        title=label_runs(list_runs(settings), accuracy=False)[run.info.id],
        evaluation=evaluation,
        judged=judged,
        train=tuple(samples["train"]),
        counts={part: _counted(found, run.classes) for part, found in samples.items() if found},
        checkup=_checkup(run.info.config.dataset, settings),
        suspects=suspects and drop_confirmed(suspects, load_run_dataset(run.info, settings)),
        corrections=count_corrections(run.info, judged.split, settings),
        facts=read_provenance_or_default(run.info.folder),
        made=time.time(),
    )


def _counted(samples: Sequence[Sample], classes: Sequence[str]) -> dict[str, int]:
    found = Counter(sample.label for sample in samples)
    return {label: found[label] for label in classes}


def _checkup(dataset: str, settings: Settings) -> QualityReport | None:
    path = Path(dataset)
    try:
        if path.is_absolute():
            return examine_folder(path, settings.limits)
        return examine(dataset, settings)
    except BadDataset:  # gone since
        return None
