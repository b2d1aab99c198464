"""Report of a run: one HTML file without scripts and links, to read, send and print."""

from __future__ import annotations

import base64
import io
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from tlcore import percentages
from tlcore.datasets.dataset import SPLITS, Sample
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read
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
from tlcore.evaluation.intervals import (
    Proportion,
    bonferroni_z,
    independent_difference,
    proportion_of,
)
from tlcore.evaluation.label_issues import LabelIssues, find_label_issues
from tlcore.evaluation.metrics import ClassMetrics, list_correct, list_mistakes
from tlcore.evaluation.predictions import (
    Predictor,
    SplitPredictions,
    load_predictor,
    predict_split,
)
from tlcore.exports import report_charts as charts
from tlcore.exports.recipe_text import describe_recipe
from tlcore.jobs import Progress
from tlcore.settings import Limits, Settings
from tlcore.storage import write_output
from tlcore.text import count
from tlcore.training.provenance import Provenance, list_samples, read_provenance_or_default
from tlcore.training.run import Run, describe_overfitting, label_runs
from tlcore.training.store import list_runs, load_run

TEMPLATES = Path(__file__).with_name("templates")
STEPS = 4
SIDE = 224  # px of an image; drawn at about half of it, so that it is sharp on screen and paper
QUALITY = 82  # of the JPEG
EXAMPLES = 4  # images of a class
MISTAKES, CORRECT, ISSUES = 12, 6, 6  # images of each list
CLASSES_WITH_EXAMPLES = 12
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


@dataclass(frozen=True)
class Tile:
    """One image of a row, with its caption."""

    address: str  # data URI of a JPEG; "" where the file is gone
    file: str
    verb: str  # "predicted", "labelled"
    label: str
    note: str = ""  # second line
    confidence: str = ""


def write_report(
    run: str,
    path: Path,
    settings: Settings,
    progress: Progress = lambda done, total, message: None,
    predict: Predictor | None = None,
) -> None:
    """Write the report of a run as one HTML file, whole or not at all.

    Args:
        run: its id.
        path: the file.
        settings: where runs and datasets lie.
        progress: called before each step.
        predict: the run's model; None loads it in this process where predictions are missing.

    Raises:
        RunError: no such run, or nothing of it can be evaluated.
        StorageError: the file cannot be written.
    """
    progress(0, STEPS, "Predicting all images")
    predict = predict or load_predictor(run, settings)
    evaluation = evaluate(run, None, settings, predict)
    predictions = predict_split(run, evaluation.split, settings, predict)
    progress(1, STEPS, "Looking for label issues")
    issues = _find_issues(run, settings)
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
    confirmed = load_run_dataset(run.info, settings)
    return ReportData(
        run=run,
        title=label_runs(list_runs(settings), accuracy=False)[run.info.id],
        evaluation=evaluation,
        predictions=predictions,
        samples={split: found for split, found in samples.items() if found},
        quality=_check_dataset(run.info.config.dataset, settings),
        issues=issues and drop_confirmed(issues, confirmed),
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
        "points": percentages.points,
        "exact": exact,
        "share": share_html,
        "date": lambda seconds, form: time.strftime(form, time.localtime(seconds)).lstrip("0"),
    }
    evaluation, run = data.evaluation, data.run
    how = run.info.config.fit
    mistakes = list_mistakes(data.predictions).tolist()
    correct = _alternate_classes(data.predictions, list_correct(data.predictions).tolist())
    return environment.get_template("report.html.j2").render(
        data=data,
        run=run,
        evaluation=evaluation,
        config=run.info.config,
        count=count,
        bounds=percentages.bounds,
        quote_labels=quote_labels,
        weakest=describe_weakest(evaluation.per_class),
        bars=_bars(evaluation),
        curves=_curves(run),
        reliability=charts.draw_reliability(evaluation.calibration),
        confused_pairs=list_confused_pairs(evaluation),
        image_counts=_count_images(data),
        examples=_examples(data, limits),
        doubts=_list_doubts(data.quality),
        issue_tiles=_issue_tiles(data.issues, how, limits),
        mistake_tiles=_prediction_tiles(data.predictions, mistakes[:MISTAKES], how, limits),
        more_mistakes=len(mistakes) - MISTAKES,
        correct_tiles=_prediction_tiles(data.predictions, correct[:CORRECT], how, limits),
        recipe=describe_recipe(run),
        overfitting=describe_overfitting(run),
        machine=_describe_machine(data.provenance),
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
        interval += f", {count(share.images, 'image')}"
    value = exact(share.value, percentages.percent(share.value))
    return Markup('{} <span class="doubt">({})</span>').format(value, interval)


def embed_image(path: Path, how: str, limits: Limits) -> str:
    """Return an image file as a data URI, a square of SIDE px; "" where it cannot be read."""
    try:
        square = fit(read(path, limits), SIDE, how)
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
    return independent_difference(one, rest, bonferroni_z(tests))[0] > 0


def _find_issues(run: str, settings: Settings) -> LabelIssues | None:
    try:
        return find_label_issues(run, settings)
    except (RunError, WeightsMissing):
        return None


def _check_dataset(dataset: str, settings: Settings) -> QualityReport | None:
    try:
        if Path(dataset).is_absolute():
            return scan_folder(Path(dataset), settings.limits)
        return scan_quality(dataset, settings)
    except BadDataset:  # deleted since
        return None


def _bars(evaluation: Evaluation) -> Markup:
    majority = evaluation.majority_baseline
    rows = [charts.Bar("This classifier", evaluation.accuracy, charts.HEAD)]
    if evaluation.imagenet_accuracy is not None:
        name = "ImageNet's own classes, not trained"
        rows.append(charts.Bar(name, evaluation.imagenet_accuracy, charts.PRETRAINED))
    rows.append(charts.Bar(f"Always “{majority.label}”", majority.accuracy, charts.GREY))
    return charts.draw_bars(rows)


def _curves(run: Run) -> dict[str, Markup]:
    if not run.history:
        return {}
    head = sum(epoch.stage == "head" for epoch in run.history)
    boundary = head if 0 < head < len(run.history) else None
    return {name: charts.draw_curve(run.history, name, boundary) for name in ("accuracy", "loss")}


def _count_images(data: ReportData) -> dict[str, Counter[str]]:
    return {
        split: Counter(sample.label for sample in samples)
        for split, samples in data.samples.items()
    }


def _examples(data: ReportData, limits: Limits) -> dict[str, list[str]]:
    """Return some training images of each class as data URIs, at even distances."""
    examples = {}
    for label in data.run.classes[:CLASSES_WITH_EXAMPLES]:
        samples = [each for each in data.samples.get("train", []) if each.label == label]
        chosen = samples[:: max(1, len(samples) // EXAMPLES)][:EXAMPLES]
        how = data.run.info.config.fit
        addresses = [embed_image(sample.path, how, limits) for sample in chosen]
        examples[label] = [address for address in addresses if address]
    return examples


def _list_doubts(quality: QualityReport | None) -> list[tuple[str, int, str]]:
    """Return (finding, number, consequence) of what a person has to decide about."""
    return [
        (KINDS[kind].title, len(findings), KINDS[kind].consequence)
        for kind, findings in (quality.open.items() if quality else ())
        if KINDS[kind].level == DECIDE
    ]


def _issue_tiles(issues: LabelIssues | None, how: str, limits: Limits) -> list[Tile]:
    return [
        Tile(
            embed_image(each.sample.path, how, limits),
            each.sample.file,
            "labelled",
            each.sample.label,
            f"looks like {each.suggested}",
        )
        for each in (issues.issues[:ISSUES] if issues else ())
    ]


def _prediction_tiles(
    predictions: SplitPredictions, places: Iterable[int], how: str, limits: Limits
) -> list[Tile]:
    return [
        Tile(
            embed_image(predictions.samples[place].path, how, limits),
            predictions.samples[place].file,
            "predicted",
            predictions.classes[predictions.predicted[place]],
            "" if predictions.correct[place] else f"is {predictions.samples[place].label}",
            percentages.probability(float(predictions.confidence[place])),
        )
        for place in places
    ]


def _alternate_classes(predictions: SplitPredictions, places: list[int]) -> list[int]:
    """Return the first of each class in turn, so that one easy class does not fill the row."""
    seen: Counter[int] = Counter()
    turns = []
    for place in places:
        label = int(predictions.labels[place])
        turns.append((seen[label], label, place))
        seen[label] += 1
    return [place for _, _, place in sorted(turns)]


def _describe_machine(provenance: Provenance) -> str:
    machine = provenance.machine
    memory = machine.get("memory", 0)
    size = f", {memory / 2**30:.0f} GB" if isinstance(memory, int) and memory else ""
    return f"{machine.get('processor', 'unknown')}, {machine.get('cores', '?')} cores{size}"
