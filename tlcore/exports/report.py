"""Report of a run: one HTML file without scripts and links, to read, send and print."""

from __future__ import annotations

import base64
import io
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from tlcore import percentages
from tlcore.datasets.dataset import SPLITS, Sample
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.datasets.quality import DECIDE, KINDS, QualityReport
from tlcore.datasets.quality_scan import scan_folder, scan_quality
from tlcore.errors import BadDataset, BadImage, RunError, WeightsMissing
from tlcore.evaluation.corrections import (
    Corrections,
    count_corrections,
    drop_confirmed,
    load_run_dataset,
)
from tlcore.evaluation.evaluation import FEW, Evaluation, evaluate, quote_labels
from tlcore.evaluation.intervals import Proportion, independent_difference, proportion_of
from tlcore.evaluation.label_issues import LabelIssues, find_label_issues
from tlcore.evaluation.metrics import ClassMetrics, list_correct, list_mistakes
from tlcore.evaluation.split_predictions import SplitPredictions, load_predictor, predict_split
from tlcore.exports import report_charts as charts
from tlcore.exports.recipe_text import describe_recipe
from tlcore.jobs import Progress
from tlcore.settings import Limits, Settings
from tlcore.storage import write_output
from tlcore.text import plural
from tlcore.training.provenance import Provenance, list_samples, read_provenance_or_default
from tlcore.training.run import Run, describe_overfitting, label_runs
from tlcore.training.store import list_runs, load_run

TEMPLATES = Path(__file__).with_name("templates")
STEPS = 4
SIDE = 224  # px of an image; drawn at about half of it, so that it is sharp on screen and paper
QUALITY = 82  # of the JPEG
WEAKEST = 3  # classes named as recognised less often than the others


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything that a report says of one run."""

    run: Run
    title: str
    evaluation: Evaluation
    predictions: SplitPredictions  # of the evaluated split
    samples: dict[str, list[Sample]]  # split → images, as the run divided them
    quality: QualityReport | None  # of the dataset as it is today; None: it is gone
    issues: LabelIssues | None  # None: the features are gone and cannot be computed
    corrections: Corrections
    provenance: Provenance
    created: float  # s since 1970


def write_report(
    run: str,
    path: Path,
    settings: Settings,
    progress: Progress = lambda done, total, message: None,
) -> None:
    """Write the report of a run as one HTML file, whole or not at all.

    Args:
        run: its id; its model is loaded where predictions are not stored yet.
        path: the file.
        settings: where runs and datasets lie.
        progress: called before each step.

    Raises:
        RunError: no such run, or nothing of it can be evaluated.
        StorageError: the file cannot be written.
    """
    progress(0, STEPS, "Predicting all images")
    predict = load_predictor(run, settings)
    evaluation = evaluate(run, None, settings, predict)
    predictions = predict_split(run, evaluation.split, settings, predict)
    progress(1, STEPS, "Looking for label issues")
    try:
        issues = find_label_issues(run, settings)
    except (RunError, WeightsMissing):
        issues = None
    progress(2, STEPS, "Checking the images of the dataset")
    data = gather_report_data(evaluation, predictions, issues, settings)
    progress(3, STEPS, "Writing")
    write_output(path, render_report(data, settings.limits).encode())


def gather_report_data(
    evaluation: Evaluation,
    predictions: SplitPredictions,
    issues: LabelIssues | None,
    settings: Settings,
) -> ReportData:
    """Gather what a report says of a run beside its evaluation."""
    run = load_run(evaluation.run, settings)
    samples = {split: list_samples(run.info, split) for split in SPLITS}
    samples[evaluation.split] = list(predictions.samples)
    dataset = load_run_dataset(run.info, settings)
    return ReportData(
        run=run,
        title=label_runs(list_runs(settings), accuracy=False)[run.info.id],
        evaluation=evaluation,
        predictions=predictions,
        samples={split: images for split, images in samples.items() if images},
        quality=_check_dataset(run.info.config.dataset, settings),
        issues=issues and drop_confirmed(issues, dataset),
        corrections=count_corrections(run.info, evaluation.split, settings),
        provenance=read_provenance_or_default(run.info.folder),
        created=time.time(),
    )


def render_report(data: ReportData, limits: Limits) -> str:
    """Return the report as HTML; every text is escaped by the template.

    Args:
        data: what it says.
        limits: of the image files that are read for it.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percentages.percent,
        "probability": percentages.probability,
        "points": percentages.points,
        "number": "{:,}".format,
        "exact": exact,
        "share": share_html,
        "date": lambda seconds, form: time.strftime(form, time.localtime(seconds)).lstrip("0"),
    }
    evaluation, run = data.evaluation, data.run
    stages = [epoch.stage for epoch in run.history]
    boundary = stages.count("head") if len(set(stages)) > 1 else None
    return environment.get_template("report.html.j2").render(
        data=data,
        run=run,
        evaluation=evaluation,
        predictions=data.predictions,
        config=run.info.config,
        plural=plural,
        bounds=percentages.bounds,
        quote_labels=quote_labels,
        embed=lambda sample: embed_image(sample.path, run.info.config.fit, limits),
        weakest=describe_weakest(evaluation.per_class),
        bars=_draw_baselines(evaluation),
        draw_curve=lambda metric: charts.draw_curve(run.history, metric, boundary),
        reliability=charts.draw_reliability(evaluation.calibration),
        confused_pairs=list_confused_pairs(evaluation),
        image_counts={
            split: Counter(sample.label for sample in samples)
            for split, samples in data.samples.items()
        },
        doubts=[
            (KINDS[kind].title, len(findings), KINDS[kind].consequence)
            for kind, findings in (data.quality.open_findings.items() if data.quality else ())
            if KINDS[kind].level == DECIDE
        ],
        mistakes=list_mistakes(data.predictions).tolist(),
        correct=_alternate_classes(data.predictions),
        recipe=describe_recipe(run),
        overfitting=describe_overfitting(run),
        dataset=Path(run.info.config.dataset).name,
    )


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


def describe_weakest(per_class: Sequence[ClassMetrics]) -> str:
    """Name the classes that are recognised less often than the others by more than chance.

    Each class with enough images is compared with all others together, by Newcombe's interval at
    95% for all these comparisons at a time: of many classes one is always the lowest.
    """
    recalls = {each.label: each.recall for each in per_class if each.recall is not None}
    enough = {label: recall for label, recall in recalls.items() if recall.images >= FEW}
    if len(recalls) < 2:
        return ""
    if not enough:
        return (
            f"With fewer than {FEW} images of each class, it cannot be said which class it "
            "recognises best or worst."
        )
    weak = [
        f"“{label}” ({recall.count:,} of {recall.images:,} images)"
        for label, recall in sorted(enough.items(), key=lambda row: row[1].value)
        if _is_below(recall, [recalls[other] for other in recalls if other != label], len(enough))
    ]
    if not weak:
        which = "" if len(enough) == len(recalls) else f" with at least {FEW} images"
        return f"No class{which} is recognised clearly less often than the others."
    more = f" and {len(weak) - WEAKEST} more" if len(weak) > WEAKEST else ""
    return f"It recognises {', '.join(weak[:WEAKEST])}{more} clearly less often than the others."


def list_confused_pairs(evaluation: Evaluation) -> list[tuple[str, str, int]]:
    """Return (label, prediction, images) of all mistakes, the most frequent pair first."""
    classes = evaluation.classes
    pairs = [
        (classes[label], classes[predicted], number)
        for label, row in enumerate(evaluation.confusion_matrix)
        for predicted, number in enumerate(row)
        if number and label != predicted
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


def _is_below(one: Proportion, others: Sequence[Proportion], tests: int) -> bool:
    rest = proportion_of(sum(each.count for each in others), sum(each.images for each in others))
    return independent_difference(one, rest, tests)[0] > 0


def _check_dataset(dataset: str, settings: Settings) -> QualityReport | None:
    try:
        if Path(dataset).is_absolute():
            return scan_folder(Path(dataset), settings.limits)
        return scan_quality(dataset, settings)
    except BadDataset:  # deleted since
        return None


def _draw_baselines(evaluation: Evaluation) -> Markup:
    """Return the run beside the models that it has to be better than, as bars."""
    majority = evaluation.majority_baseline
    rows = [charts.Bar("This classifier", evaluation.accuracy, charts.HEAD)]
    if evaluation.imagenet_accuracy is not None:
        name = "ImageNet's own classes, not trained"
        rows.append(charts.Bar(name, evaluation.imagenet_accuracy, charts.PRETRAINED))
    rows.append(charts.Bar(f"Always “{majority.label}”", majority.accuracy, charts.GREY))
    return charts.draw_bars(rows)


def _alternate_classes(predictions: SplitPredictions) -> list[int]:
    """Return the correct predictions, the most confident of each class in turn, so that one easy
    class does not come first throughout."""
    places: list[int] = list_correct(predictions).tolist()
    seen: Counter[int] = Counter()
    turns = []
    for place in places:
        label = int(predictions.labels[place])
        turns.append((seen[label], label, place))
        seen[label] += 1
    return [place for _, _, place in sorted(turns)]
