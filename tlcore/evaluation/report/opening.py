"""The first sections of a report: what was asked, the answer in short, the pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tlcore.datasets.dataset import SPLITS
from tlcore.datasets.doctor.kinds import DECIDE, KINDS
from tlcore.evaluation.evaluation import FEW
from tlcore.evaluation.intervals import Share, deviations, independent_difference, share_of
from tlcore.evaluation.metrics import ClassFigures
from tlcore.evaluation.report.charts import GREY, HEAD, PRETRAINED, Row, bars
from tlcore.evaluation.report.faces import face, tiled
from tlcore.evaluation.report.marks import (
    count,
    figure,
    listed,
    not_shown,
    percent,
    section,
    table,
    text,
)
from tlcore.evaluation.report.material import Material
from tlcore.percentages import bounds
from tlcore.settings import Limits

PART_WORDS = {
    "test": ("test", "The test part: pictures kept back, which nothing was learned or chosen by."),
    "val": ("validation", "The validation part: pictures it has not learned from."),
    "train": ("training", "The training part: the pictures it has learned from."),
}
CLASSES = 12  # of which pictures are shown
EACH = 4  # pictures of a class that are shown
SUSPECTS = 6  # doubted labels that are shown
LEFT_OUT = 10  # files left out that are named
WEAK = 3  # classes named as recognised less often than the others


def head(material: Material) -> str:
    """The title, and the one number that a reader remembers."""
    found, run = material.evaluation, material.run
    part, about = PART_WORDS[found.part]
    low, high = found.accuracy.low, found.accuracy.high
    made = time.strftime("%d %B %Y", time.localtime(material.made)).lstrip("0")
    note = f"<p>{text(run.info.notes.note)}</p>" if run.info.notes.note else ""
    return (
        f"<header><p class=kicker>Report on an image classifier · {made}</p>"
        f"<h1>{text(material.title)}</h1>{note}"
        f"<div class=headline><div class=big id=accuracy>{percent(found.accuracy.value)}</div>"
        f"<p><b>{found.accuracy.right:,} of {count(found.pictures, f'{part} picture')} named "
        f"rightly.</b> The 95% interval of its true accuracy on such pictures is "
        f"{bounds(low, high)}%. {about}</p></div></header>"
    )


def asked(material: Material) -> str:
    classes = material.run.classes
    names = ", ".join(f"<b>{text(label)}</b>" for label in classes[:40])
    more = f" and {len(classes) - 40} more" if len(classes) > 40 else ""
    return section(
        "What was asked",
        f"<p>Which of {len(classes)} classes does a photograph show: {names}{more}?</p>",
        "<p>A network that has learned from a million photographs (ImageNet) was given these "
        "classes instead of its own.</p>"
        if not material.run.info.config.random_weights
        else "<p>A network with random weights, which has learned nothing before, was given these "
        "classes. That is a trial: it is not made to be good.</p>",
    )


def short(material: Material) -> str:
    """The answer in a few sentences, and what it is worth beside doing without."""
    found = material.evaluation
    rows = [Row("This classifier", found.accuracy, HEAD)]
    if found.imagenet is not None:
        rows.append(Row("ImageNet's own classes, not taught", found.imagenet, PRETRAINED))
    always = f"Always saying “{found.majority.label}”"
    rows.append(Row(always, found.majority.accuracy, GREY))
    return section(
        "The answer in short",
        listed(_sentences(material)),
        figure(
            bars(rows),
            "Share of pictures named rightly; the thin lines are 95% intervals. "
            + text(found.imagenet_note),
        ),
        _warnings((*material.corrections.sentences, *found.warnings)),
    )


def _sentences(material: Material) -> list[str]:
    found = material.evaluation
    lines = [text(found.majority.beside.beside(f"always saying “{found.majority.label}”"))]
    if found.beside_imagenet is not None:
        lines.append(text(found.beside_imagenet.beside("ImageNet's own classes, not taught")))
    if len(found.classes) - len(found.unjudged) > 1:
        lines.append(text(_weakest(found.per_class)))
    words = found.calibration.words
    lines.append(text(f"{words[:1].upper()}{words[1:]}."))
    return lines


def _weakest(per_class: Sequence[ClassFigures]) -> str:
    """Name the classes that are recognised less often than the others by more than chance.

    Each class with enough pictures is compared with all others together, by Newcombe's interval at
    95% for all these comparisons at a time: of many classes one is always the lowest.
    """
    recalls = {each.label: each.recall for each in per_class if each.recall is not None}
    enough = {label: recall for label, recall in recalls.items() if recall.pictures >= FEW}
    if not enough:
        return (
            f"With fewer than {FEW} pictures of each class, it cannot be said which class it "
            "recognises best or worst."
        )
    weak = [
        f"“{label}” ({recall.right:,} of {recall.pictures:,} pictures)"
        for label, recall in sorted(enough.items(), key=lambda row: row[1].value)
        if _below(recall, [recalls[other] for other in recalls if other != label], len(enough))
    ]
    if not weak:
        less = "" if len(enough) == len(recalls) else f" with at least {FEW} pictures"
        return f"No class{less} is recognised clearly less often than the others."
    more = f" and {len(weak) - WEAK} more" if len(weak) > WEAK else ""
    return f"It recognises {', '.join(weak[:WEAK])}{more} clearly less often than the others."


def _below(one: Share, others: Sequence[Share], tests: int) -> bool:
    rest = share_of(sum(each.right for each in others), sum(each.pictures for each in others))
    return independent_difference(one, rest, deviations(tests))[0] > 0


def _warnings(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"<div class=warning><b>Before you rely on it</b>{listed(map(text, lines))}</div>"


def pictures(material: Material, limits: Limits) -> str:
    """The data set: how many, which, and what is doubtful about it."""
    return section(
        "The pictures",
        _counts(material),
        _examples(material, limits),
        _doubts(material, limits),
        f"<p class=hash>SHA-256 of all pictures of the data set with their labels: "
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
    """Some pictures of each class, evenly from those it learned from."""
    rows = []
    how = material.run.info.config.fit
    for label in material.run.classes[:CLASSES]:
        mine = [sample for sample in material.train if sample.label == label]
        chosen = mine[:: max(1, len(mine) // EACH)][:EACH]
        shown = [address for sample in chosen if (address := face(sample.path, how, limits))]
        images = "".join(f'<img src="{address}" alt="{text(label)}">' for address in shown)
        rows.append(f"<div class=examples><span>{text(label)}</span>{images}</div>")
    more = len(material.run.classes) - CLASSES
    words = "Training pictures as the network sees them."
    words += f" {not_shown(more, 'more class', 'more classes')}" if more > 0 else ""
    return figure(f"<div class=classes>{''.join(rows)}</div>", words)


def _doubts(material: Material, limits: Limits) -> str:
    found = material.checkup
    labels = _labels(material, limits)
    if found is None:
        return f"<p>The data set is no longer here to be examined.</p>{labels}"
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
    nothing = "" if rows or lines else "<p>No copies, no empty or damaged pictures were found.</p>"
    return f"<h3>Doubts about them</h3>{nothing}{doubts}{listed(lines)}{labels}"


def _labels(material: Material, limits: Limits) -> str:
    """The labels that heads which never saw the picture do not believe."""
    if material.suspects is None:
        return ""
    found = material.suspects
    doubted, all_ = found.doubted, len(found.ranking)
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
        f"not learned from the picture they judge ({text(found.method)}). The most suspect:</p>"
    )
    return shortage + words + tiled(tiles)
