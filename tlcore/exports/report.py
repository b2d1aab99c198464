"""Report of a run: one HTML file without scripts and links, to read, send and print."""

from __future__ import annotations

import base64
import io
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from PIL import Image

from tlcore import percentages
from tlcore.datasets.dataset import SPLITS
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.datasets.quality import DECIDE, KINDS, QualityReport
from tlcore.datasets.quality_scan import scan_folder, scan_quality
from tlcore.errors import BadDataset, BadImage, RunError, WeightsMissing
from tlcore.evaluation.corrections import count_corrections, drop_confirmed, load_run_dataset
from tlcore.evaluation.evaluation import Evaluation, evaluate, list_verdicts, quote_labels
from tlcore.evaluation.intervals import Proportion
from tlcore.evaluation.label_issues import LabelIssues, find_label_issues
from tlcore.evaluation.metrics import list_mistakes
from tlcore.evaluation.split_predictions import SplitPredictions, predict_split
from tlcore.exports import report_charts as charts
from tlcore.exports.recipe_text import describe_recipe, template_environment
from tlcore.jobs import Progress
from tlcore.settings import Limits, Settings
from tlcore.storage import write_output
from tlcore.text import plural
from tlcore.training.provenance import list_samples, read_provenance_or_default
from tlcore.training.run import describe_overfitting, label_runs
from tlcore.training.store import list_runs, load_run

STEPS = 4
SIDE = 224  # px of an image; drawn at about half of it, so that it is sharp on screen and paper
QUALITY = 82  # of the JPEG
MOST_CLASSES = 30  # rows of a table of classes


def write_report(run: str, path: Path, settings: Settings, progress: Progress) -> None:
    """Write the report of a run as one HTML file; missing predictions are computed. See ``export``.

    Raises:
        RunError: no such run, or nothing of it can be evaluated.
        StorageError: the file cannot be written.
    """
    progress(0, STEPS, "Predicting all images")
    evaluation = evaluate(run, None, settings)
    predictions = predict_split(run, evaluation.split, settings)
    progress(1, STEPS, "Looking for label issues")
    issues = None
    with suppress(RunError, WeightsMissing):
        issues = find_label_issues(run, settings)
    progress(2, STEPS, "Checking the images of the dataset")
    page = render_report(evaluation, predictions, issues, settings)
    progress(3, STEPS, "Writing")
    write_output(path, page.encode())


def render_report(
    evaluation: Evaluation,
    predictions: SplitPredictions,
    issues: LabelIssues | None,
    settings: Settings,
) -> str:
    """Return the report of a run as HTML; every text is escaped by the template.

    Args:
        evaluation: of the run.
        predictions: of the evaluated split.
        issues: None where the features are gone and cannot be computed.
        settings: where the run, its dataset and their images lie.
    """
    run = load_run(evaluation.run, settings)
    info, config = run.info, run.info.config
    samples = {split: list_samples(info, split) for split in SPLITS}
    samples[evaluation.split] = list(predictions.samples)
    counts = {split: Counter(each.label for each in images) for split, images in samples.items()}
    quality = _check_dataset(config.dataset, settings)
    stages = [epoch.stage for epoch in run.history]
    boundary = stages.count("head") if len(set(stages)) > 1 else None
    template = _environment().get_template("report.html.j2")
    return template.render(
        run=run,
        config=config,
        title=label_runs(list_runs(settings), accuracy=False)[info.id],
        created=time.time(),
        evaluation=evaluation,
        predictions=predictions,
        issues=issues and drop_confirmed(issues, load_run_dataset(info, settings)),
        caveats=count_corrections(info, evaluation.split, settings).sentences + evaluation.warnings,
        provenance=read_provenance_or_default(info.folder),
        embed=lambda sample: embed_image(sample.path, config.fit, settings.limits),
        verdicts=list_verdicts(evaluation),
        colours={"head": charts.HEAD, "pretrained": charts.PRETRAINED, "grey": charts.GREY},
        draw_curve=lambda metric: charts.draw_curve(run.history, metric, boundary),
        reliability=charts.draw_reliability(evaluation.calibration),
        confused_pairs=evaluation.confused_pairs,
        most=MOST_CLASSES,
        smallest=sorted(run.classes, key=counts["train"].__getitem__)[:MOST_CLASSES],
        train=samples["train"],
        image_counts={split: counts[split] for split, images in samples.items() if images},
        quality=quality,
        doubts=[
            (KINDS[kind].title, len(findings), KINDS[kind].consequence)
            for kind, findings in (quality.open_findings.items() if quality else ())
            if KINDS[kind].level == DECIDE
        ],
        mistakes=list_mistakes(predictions).tolist(),
        correct=_alternate_classes(predictions),
        recipe=describe_recipe(run),
        overfitting=describe_overfitting(run),
        dataset=Path(config.dataset).name,
    )


def _environment() -> Environment:
    environment = template_environment(autoescape=True)
    environment.globals |= {
        "plural": plural,
        "bounds": percentages.bounds,
        "quote_labels": quote_labels,
    }
    environment.filters |= {
        "percent": percentages.percent,
        "probability": percentages.probability,
        "points": percentages.points,
        "number": "{:,}".format,
        "exact": exact,
        "share": share_html,
        "date": lambda seconds, form: time.strftime(form, time.localtime(seconds)).lstrip("0"),
    }
    return environment


def exact(value: float, shown: str) -> Markup:
    """Return a rounded number as HTML that carries its exact value."""
    return Markup('<data value="{}" title="{:.6g}">{}</data>').format(repr(value), value, shown)


def share_html(share: Proportion | None, images: bool = False) -> Markup:
    """Return a share with its interval as HTML: "94% (90–97, 153 images)"; "–" for None."""
    if share is None:
        return Markup("–")
    interval = percentages.bounds(share.low, share.high)
    if images:
        interval += f", {plural(share.images, 'image')}"
    value = exact(share.value, percentages.percent(share.value))
    return Markup('{} <span class="doubt">({})</span>').format(value, interval)


def embed_image(path: Path, how: str, limits: Limits) -> str:
    """Return an image file as a data URI, a square of SIDE px; "" where it cannot be read."""
    try:
        square = fit(read_image(path, limits), SIDE, how)
    except BadImage:
        return ""
    buffer = io.BytesIO()
    Image.fromarray(square).save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _check_dataset(dataset: str, settings: Settings) -> QualityReport | None:
    try:
        if Path(dataset).is_absolute():
            return scan_folder(Path(dataset), settings.limits)
        return scan_quality(dataset, settings)
    except BadDataset:  # deleted since
        return None


def _alternate_classes(predictions: SplitPredictions) -> list[int]:
    """Return the correct predictions, the most confident of each class in turn, so that one easy
    class does not come first throughout."""
    turns, seen = [], Counter[int]()
    for place in np.argsort(-predictions.confidence, kind="stable").tolist():
        label = int(predictions.labels[place])
        if predictions.correct[place]:
            turns.append((seen[label], label, place))
            seen[label] += 1
    return [place for *_, place in sorted(turns)]
