"""The middle of a report: how it was taught, its curves, its numbers."""

from __future__ import annotations

from tlcore.evaluation.evaluation import Evaluation, named
from tlcore.evaluation.recipe import recipe
from tlcore.evaluation.report.charts import curves, reliability
from tlcore.evaluation.report.marks import (
    NONE,
    count,
    exact,
    figure,
    section,
    share,
    table,
    text,
)
from tlcore.evaluation.report.material import Material
from tlcore.evaluation.report.opening import PART_WORDS
from tlcore.percentages import points
from tlcore.training.kept import turn

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
                ("accuracy", "Accuracy: share of pictures named rightly."),
                ("loss", "Loss: how wrong the answers are; lower is better."),
            )
        )
    seconds = f" It took {_duration(run.info.seconds)}." if run.info.seconds else ""
    return section(
        "How it was taught",
        table((), rows, "words"),
        f"<div class=pair>{drawn}</div>" if drawn else "",
        f"<p>{count(len(run.history), 'epoch')} in all.{seconds} {text(turn(run))}</p>",
    )


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def numbers(material: Material) -> str:
    """All figures with their intervals, said on which pictures."""
    found = material.evaluation
    return section(
        "How good it is",
        table((), _rows(found), "figures"),
        "<h3>Class by class</h3>",
        table(
            (
                "Class",
                "Pictures",
                "Right when it says so (precision)",
                "Found (recall)",
                "F1",
            ),
            _classes(found),
            "numbers",
        ),
        lead=f"{text(PART_WORDS[found.part][1])} {count(found.pictures, 'picture')}; in brackets "
        "the 95% interval.",
    )


def _rows(found: Evaluation) -> list[tuple[str, str, str]]:
    two = found.two_class
    rows = [
        ("Accuracy", share(found.accuracy), "share of pictures named rightly"),
        (
            "Balanced accuracy",
            share(found.balanced_accuracy, pictures=False),
            f"the same with every class counting alike{_without(found)}",
        ),
        (
            "Macro F1",
            exact(found.macro_f1, f"{found.macro_f1:.2f}"),
            f"1 is best; every class counts alike{_without(found)}",
        ),
        (
            "Always the most frequent class",
            share(found.majority.accuracy, pictures=False),
            f"saying “{text(found.majority.label)}” to everything",
        ),
        (
            "ImageNet's own classes",
            share(found.imagenet, pictures=False),
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
            f"{text(found.calibration.words)}",
        ),
    ]
    if two is not None:
        looked_for = text(two.looked_for)
        rows += [
            (
                "Area under the ROC curve",
                exact(two.roc_area, f"{two.roc_area:.3f}"),
                f"“{looked_for}” above the others; 0.5 is chance",
            ),
            (
                "Average precision",
                exact(two.average_precision, f"{two.average_precision:.3f}"),
                f"of “{looked_for}”, over all thresholds",
            ),
        ]
    return rows


def _without(found: Evaluation) -> str:
    """Name the classes that no judged picture shows."""
    if not found.unjudged:
        return ""
    return f", without {text(named(found.unjudged))}: no picture was judged"


def _classes(found: Evaluation) -> list[list[str]]:
    return [
        [
            text(each.label),
            f"{each.pictures:,}",
            share(each.precision, pictures=False),
            share(each.recall, pictures=False),
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
        f"surer than it should be. {text(found.calibration.words).capitalize()}.",
    )
    kind = "pair" if len(found.classes) <= BESIDE else ""
    return section("What it confuses", f'<div class="{kind}"><div>{drawn}</div>{trust}</div>')


def _matrix(found: Evaluation) -> str:
    rows = []
    for place, label in enumerate(found.classes):
        total = sum(found.matrix[place]) or 1
        cells = "".join(
            f'<td class="{"right" if place == said else "wrong"}" '
            f'style="--share:{number / total:.3f}">{number:,}</td>'
            for said, number in enumerate(found.matrix[place])
        )
        rows.append(f"<tr><th scope=row>{text(label)}</th>{cells}</tr>")
    head = "".join(f"<th scope=col>{text(label)}</th>" for label in found.classes)
    return figure(
        f"<div class=wide><table class=matrix id=matrix><thead><tr><th>is ↓ said →</th>{head}"
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>",
        "A row for what a picture shows, a column for what was said: right answers are on the "
        "diagonal.",
    )


def _pairs(found: Evaluation) -> str:
    pairs = sorted(
        (
            (number, is_, said)
            for is_, row in enumerate(found.matrix)
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
        return "<p>It confused no two classes on these pictures.</p>"
    return table(("It is", "It said", "Pictures"), rows, "numbers")
