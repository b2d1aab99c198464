"""The first sections of a report: what was asked, the answer in short, the images."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tlcore.datasets.dataset import SPLITS
from tlcore.datasets.quality import DECIDE, KINDS
from tlcore.evaluation.evaluation import FEW, Evaluation, quote_labels
from tlcore.evaluation.intervals import (
    Proportion,
    bonferroni_z,
    independent_difference,
    proportion_of,
)
from tlcore.evaluation.metrics import ClassMetrics
from tlcore.exports.recipe_text import recipe
from tlcore.exports.report_charts import (
    GREY,
    HEAD,
    NONE,
    PRETRAINED,
    Row,
    bars,
    count,
    curves,
    exact,
    figure,
    listed,
    not_shown,
    reliability,
    section,
    share,
    table,
    text,
)
from tlcore.exports.report_charts import marks_percent as percent
from tlcore.exports.report_values import Material, face, tiled
from tlcore.percentages import bounds, points
from tlcore.settings import Limits
from tlcore.training.run import describe_overfitting

PART_WORDS = {
    "test": ("test", "The test part: images kept back, which nothing was learned or chosen by."),
    "val": ("validation", "The validation part: images it has not learned from."),
    "train": ("training", "The training part: the images it has learned from."),
}
CLASSES = 12  # of which images are shown
EACH = 4  # images of a class that are shown
SUSPECTS = 6  # doubted labels that are shown
LEFT_OUT = 10  # files left out that are named
WEAK = 3  # classes named as recognised less often than the others


def head(material: Material) -> str:
    """The title, and the one number that a reader remembers."""
    found, run = material.evaluation, material.run
    part, about = PART_WORDS[found.split]
    low, high = found.accuracy.low, found.accuracy.high
    made = time.strftime("%d %B %Y", time.localtime(material.made)).lstrip("0")
    note = f"<p>{text(run.info.notes.note)}</p>" if run.info.notes.note else ""
    return (
        f"<header><p class=kicker>Report on an image classifier · {made}</p>"
        f"<h1>{text(material.title)}</h1>{note}"
        f"<div class=headline><div class=big id=accuracy>{percent(found.accuracy.value)}</div>"
        f"<p><b>{found.accuracy.count:,} of {count(found.images, f'{part} image')} named "
        f"rightly.</b> The 95% interval of its true accuracy on such images is "
        f"{bounds(low, high)}%. {about}</p></div></header>"
    )


def asked(material: Material) -> str:
    classes = material.run.classes
    names = ", ".join(f"<b>{text(label)}</b>" for label in classes[:40])
    more = f" and {len(classes) - 40} more" if len(classes) > 40 else ""
    return section(
        "What was asked",
        f"<p>Which of {len(classes)} classes does an image show: {names}{more}?</p>",
        "<p>A network that has learned from a million images (ImageNet) was given these "
        "classes instead of its own.</p>"
        if not material.run.info.config.random_weights
        else "<p>A network with random weights, which has learned nothing before, was given these "
        "classes. That is a trial: it is not made to be good.</p>",
    )


def short(material: Material) -> str:
    """The answer in a few sentences, and what it is worth beside doing without."""
    found = material.evaluation
    rows = [Row("This classifier", found.accuracy, HEAD)]
    if found.imagenet_accuracy is not None:
        rows.append(Row("ImageNet's own classes, not taught", found.imagenet_accuracy, PRETRAINED))
    always = f"Always saying “{found.majority_baseline.label}”"
    rows.append(Row(always, found.majority_baseline.accuracy, GREY))
    return section(
        "The answer in short",
        listed(_sentences(material)),
        figure(
            bars(rows),
            "Share of images named rightly; the thin lines are 95% intervals. "
            + text(found.imagenet_note),
        ),
        _warnings((*material.corrections.sentences, *found.warnings)),
    )


def _sentences(material: Material) -> list[str]:
    found = material.evaluation
    lines = [
        text(
            found.majority_baseline.difference.sentence(
                f"always saying “{found.majority_baseline.label}”"
            )
        )
    ]
    if found.imagenet_difference is not None:
        lines.append(text(found.imagenet_difference.sentence("ImageNet's own classes, not taught")))
    if len(found.classes) - len(found.classes_without_images) > 1:
        lines.append(text(_weakest(found.per_class)))
    words = found.calibration.advice
    lines.append(text(f"{words[:1].upper()}{words[1:]}."))
    return lines


def _weakest(per_class: Sequence[ClassMetrics]) -> str:
    """Name the classes that are recognised less often than the others by more than chance.

    Each class with enough images is compared with all others together, by Newcombe's interval at
    95% for all these comparisons at a time: of many classes one is always the lowest.
    """
    recalls = {each.label: each.recall for each in per_class if each.recall is not None}
    enough = {label: recall for label, recall in recalls.items() if recall.images >= FEW}
    if not enough:
        return (
            f"With fewer than {FEW} images of each class, it cannot be said which class it "
            "recognises best or worst."
        )
    weak = [
        f"“{label}” ({recall.count:,} of {recall.images:,} images)"
        for label, recall in sorted(enough.items(), key=lambda row: row[1].value)
        if _below(recall, [recalls[other] for other in recalls if other != label], len(enough))
    ]
    if not weak:
        less = "" if len(enough) == len(recalls) else f" with at least {FEW} images"
        return f"No class{less} is recognised clearly less often than the others."
    more = f" and {len(weak) - WEAK} more" if len(weak) > WEAK else ""
    return f"It recognises {', '.join(weak[:WEAK])}{more} clearly less often than the others."


def _below(one: Proportion, others: Sequence[Proportion], tests: int) -> bool:
    rest = proportion_of(sum(each.count for each in others), sum(each.images for each in others))
    return independent_difference(one, rest, bonferroni_z(tests))[0] > 0


def _warnings(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"<div class=warning><b>Before you rely on it</b>{listed(map(text, lines))}</div>"


def images(material: Material, limits: Limits) -> str:
    """The dataset: how many, which, and what is doubtful about it."""
    return section(
        "The images",
        _counts(material),
        _examples(material, limits),
        _doubts(material, limits),
        f"<p class=hash>SHA-256 of all images of the dataset with their labels: "
        f"<code>{text(material.run.info.data_hash)}</code></p>",
    )


def _counts(material: Material) -> str:
    parts = [part for part in SPLITS if part in material.counts]
    rows = [
        [text(label), *(f"{material.counts[part][label]:,}" for part in parts)]
        for label in material.run.classes
    ]
    total = ["All", *(f"{sum(material.counts[part].values()):,}" for part in parts)]
    words = {
        "train": "To learn from",
        "val": "To judge by (validation)",
        "test": "Kept back (test)",
    }
    return table(["Class", *(words[part] for part in parts)], [*rows, total], "numbers total")


def _examples(material: Material, limits: Limits) -> str:
    """Some images of each class, evenly from those it learned from."""
    rows = []
    how = material.run.info.config.fit
    for label in material.run.classes[:CLASSES]:
        mine = [sample for sample in material.train if sample.label == label]
        chosen = mine[:: max(1, len(mine) // EACH)][:EACH]
        shown = [address for sample in chosen if (address := face(sample.path, how, limits))]
        images = "".join(f'<img src="{address}" alt="{text(label)}">' for address in shown)
        rows.append(f"<div class=examples><span>{text(label)}</span>{images}</div>")
    more = len(material.run.classes) - CLASSES
    words = "Training images as the network sees them."
    words += f" {not_shown(more, 'more class', 'more classes')}" if more > 0 else ""
    return figure(f"<div class=classes>{''.join(rows)}</div>", words)


def _doubts(material: Material, limits: Limits) -> str:
    found = material.checkup
    labels = _labels(material, limits)
    if found is None:
        return f"<p>The dataset is no longer here to be examined.</p>{labels}"
    rows = [
        [text(KINDS[kind].title), f"{len(these):,}", text(KINDS[kind].consequence)]
        for kind, these in found.open.items()
        if KINDS[kind].level == DECIDE
    ]
    lines = [f"{text(each.label)}: {text(each.words)}" for each in found.shortages]
    lines += [
        f"{text(event.file)} was left out: {text(event.reason)}"
        for event in material.run.skipped[:LEFT_OUT]
    ]
    doubts = table(["What is doubtful", "Number", "What it costs"], rows) if rows else ""
    nothing = "" if rows or lines else "<p>No copies, no empty or damaged images were found.</p>"
    return f"<h3>Doubts about them</h3>{nothing}{doubts}{listed(lines)}{labels}"


def _labels(material: Material, limits: Limits) -> str:
    """The labels that heads which never saw the image do not believe."""
    if material.suspects is None:
        return ""
    found = material.suspects
    doubted, all_ = found.issues, len(found.ranking)
    shortage = f"<p>{text(found.shortage)}</p>" if found.shortage else ""
    if not all_:
        return shortage
    if not doubted:
        none = f"<p>None of {count(all_, 'label')} is doubted. {text(found.method)}.</p>"
        return shortage + none
    how = material.run.info.config.fit
    tiles = [
        (
            face(each.sample.path, how, limits),
            each.sample.file,
            f"labelled <b>{text(each.sample.label)}</b><br>looks like {text(each.suggested)}",
        )
        for each in doubted[:SUSPECTS]
    ]
    words = (
        f"<p><b>{len(doubted):,} of {count(all_, 'label')} may be wrong</b>, by heads that have "
        f"not learned from the image they judge ({text(found.method)}). The most suspect:</p>"
    )
    return shortage + words + tiled(tiles)


# The middle of a report: how it was taught, its curves, its numbers.


BESIDE = 4  # classes, up to which the matrix has room for a drawing beside it
MATRIX = 16  # classes, up to which the whole matrix is shown
CONFUSED = 12  # pairs that are shown of a larger one


def taught(material: Material) -> str:
    """The recipe, and how it went."""
    run = material.run
    rows = [(text(name), text(words)) for name, words in recipe(run)]
    drawn = ""
    if run.history:
        heads = sum(epoch.stage == "head" for epoch in run.history)
        boundary = heads if 0 < heads < len(run.history) else None
        drawn = "".join(
            figure(curves(run.history, what, boundary), words)
            for what, words in (
                ("accuracy", "Accuracy: share of images named rightly."),
                ("loss", "Loss: how wrong the answers are; lower is better."),
            )
        )
    seconds = f" It took {_duration(run.info.seconds)}." if run.info.seconds else ""
    return section(
        "How it was taught",
        table((), rows, "words"),
        f"<div class=pair>{drawn}</div>" if drawn else "",
        f"<p>{count(len(run.history), 'epoch')} in all.{seconds} "
        f"{text(describe_overfitting(run))}</p>",
    )


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def numbers(material: Material) -> str:
    """All figures with their intervals, said on which images."""
    found = material.evaluation
    return section(
        "How good it is",
        table((), _rows(found), "figures"),
        "<h3>Class by class</h3>",
        table(
            (
                "Class",
                "Images",
                "Right when it says so (precision)",
                "Found (recall)",
                "F1",
            ),
            _classes(found),
            "numbers",
        ),
        lead=f"{text(PART_WORDS[found.split][1])} {count(found.images, 'image')}; in brackets "
        "the 95% interval.",
    )


def _rows(found: Evaluation) -> list[tuple[str, str, str]]:
    two = found.binary
    rows = [
        ("Accuracy", share(found.accuracy), "share of images named rightly"),
        (
            "Balanced accuracy",
            share(found.balanced_accuracy, images=False),
            f"the same with every class counting alike{_without(found)}",
        ),
        (
            "Macro F1",
            exact(found.macro_f1, f"{found.macro_f1:.2f}"),
            f"1 is best; every class counts alike{_without(found)}",
        ),
        (
            "Always the most frequent class",
            share(found.majority_baseline.accuracy, images=False),
            f"saying “{text(found.majority_baseline.label)}” to everything",
        ),
        (
            "ImageNet's own classes",
            share(found.imagenet_accuracy, images=False),
            text(found.imagenet_note),
        ),
        (
            "Log loss",
            exact(found.log_loss, f"{found.log_loss:.3f}"),
            "how wrong its probabilities are; 0 is best",
        ),
        (
            "Calibration error",
            exact(found.calibration.error, text(points(found.calibration.error))),
            f"{text(found.calibration.advice)}",
        ),
    ]
    if two is not None:
        positive_class = text(two.positive_class)
        rows += [
            (
                "Area under the ROC curve",
                exact(two.roc_auc, f"{two.roc_auc:.3f}"),
                f"“{positive_class}” above the others; 0.5 is chance",
            ),
            (
                "Average precision",
                exact(two.average_precision, f"{two.average_precision:.3f}"),
                f"of “{positive_class}”, over all thresholds",
            ),
        ]
    return rows


def _without(found: Evaluation) -> str:
    """Name the classes that no judged image shows."""
    if not found.classes_without_images:
        return ""
    return f", without {text(quote_labels(found.classes_without_images))}: no image was judged"


def _classes(found: Evaluation) -> list[list[str]]:
    return [
        [
            text(each.label),
            f"{each.images:,}",
            share(each.precision, images=False),
            share(each.recall, images=False),
            exact(each.f1, f"{each.f1:.2f}") if each.f1 is not None else NONE,
        ]
        for each in found.per_class
    ]


def confusions(material: Material) -> str:
    """The confusion matrix, and whether its percentages can be believed."""
    found = material.evaluation
    drawn = _matrix(found) if len(found.classes) <= MATRIX else _pairs(found)
    trust = figure(
        reliability(found.calibration),
        "On the dashed line it is as often right as it says it is sure; below the line it is "
        f"surer than it should be. {text(found.calibration.advice).capitalize()}.",
    )
    kind = "pair" if len(found.classes) <= BESIDE else ""
    return section("What it confuses", f'<div class="{kind}"><div>{drawn}</div>{trust}</div>')


def _matrix(found: Evaluation) -> str:
    rows = []
    for place, label in enumerate(found.classes):
        total = sum(found.confusion_matrix[place]) or 1
        cells = "".join(
            f'<td class="{"right" if place == said else "wrong"}" '
            f'style="--share:{number / total:.3f}">{number:,}</td>'
            for said, number in enumerate(found.confusion_matrix[place])
        )
        rows.append(f"<tr><th scope=row>{text(label)}</th>{cells}</tr>")
    head = "".join(f"<th scope=col>{text(label)}</th>" for label in found.classes)
    return figure(
        f"<div class=wide><table class=matrix id=matrix><thead><tr><th>is ↓ said →</th>{head}"
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>",
        "A row for what an image shows, a column for what was said: right answers are on the "
        "diagonal.",
    )


def _pairs(found: Evaluation) -> str:
    pairs = sorted(
        (
            (number, is_, said)
            for is_, row in enumerate(found.confusion_matrix)
            for said, number in enumerate(row)
            if number and is_ != said
        ),
        key=lambda pair: (-pair[0], pair[1:]),
    )
    rows = [
        [text(found.classes[is_]), text(found.classes[said]), f"{number:,}"]
        for number, is_, said in pairs[:CONFUSED]
    ]
    if not rows:
        return "<p>It confused no two classes on these images.</p>"
    return table(("It is", "It said", "Images"), rows, "numbers")
