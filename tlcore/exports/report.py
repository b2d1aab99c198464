"""The end of a report: images it got right and wrong, limits, how it was made."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.label_issues import LabelIssues
from tlcore.evaluation.metrics import list_correct, list_mistakes
from tlcore.evaluation.predictions import SplitPredictions
from tlcore.exports import report_sections as figures
from tlcore.exports import report_sections as opening
from tlcore.exports.report_charts import listed, not_shown, section, table, text
from tlcore.exports.report_values import Material, face, gather, tiled
from tlcore.jobs import Progress
from tlcore.percentages import probability
from tlcore.settings import Limits, Settings
from tlcore.storage import write_output
from tlcore.training.provenance import Provenance
from tlcore.training.store import load_run

WORST, BEST = 12, 6  # images shown

LIMITS = (
    "It knows these classes only, and names one of them for every image, whatever it shows.",
    "It was judged by images of the same source as those it learned from. On images from "
    "elsewhere – another camera, season, place – it may be worse: try it on yours first.",
    "The interval covers the luck of which images were drawn, nothing else.",
    "A probability is how sure the network is, not how often it is right.",
    "It was not examined for fairness, nor for images made to mislead it.",
)


def seen(material: Material, limits: Limits) -> str:
    """The surest mistakes and the surest right answers."""
    judged, how = material.judged, material.run.info.config.fit
    wrong = list_mistakes(judged).tolist()
    right = list_correct(judged).tolist()
    return section(
        "Images",
        "<h3>Its surest mistakes</h3>",
        _faces(judged, wrong[:WORST], how, limits) or "<p>It made no mistake on these images.</p>",
        f"<p>{not_shown(len(wrong) - WORST, 'more mistake')}</p>" if len(wrong) > WORST else "",
        "<h3>Its surest right answers</h3>" if right else "",
        _faces(judged, _mixed(judged, right), how, limits),
    )


def _mixed(judged: SplitPredictions, right: list[int]) -> list[int]:
    """The surest of each class in turn, so that one easy class does not fill the row."""
    queues = [
        [place for place in right if judged.labels[place] == index]
        for index in range(len(judged.classes))
    ]
    turns = max(map(len, queues), default=0)
    mixed = [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)]
    return mixed[:BEST]


def _faces(judged: SplitPredictions, places: Iterable[int], how: str, limits: Limits) -> str:
    tiles = []
    for place in places:
        sample = judged.samples[place]
        said = text(judged.classes[judged.predicted[place]])
        is_ = "" if judged.correct[place] else f"<br>is {text(sample.label)}"
        sure = text(probability(float(judged.confidence[place])))
        caption = f"said <b>{said}</b> {sure}{is_}"
        tiles.append((face(sample.path, how, limits), sample.file, caption))
    return tiled(tiles) if tiles else ""


def limits_section() -> str:
    return section("Limits", listed(map(text, LIMITS)))


def made(material: Material) -> str:
    """What is needed to find this run again, or to make it again."""
    run, facts = material.run, material.facts
    rows = [
        ("Run", text(run.info.id)),
        ("Trained", _moment(run.info.created)),
        ("Report written", _moment(material.made)),
        ("Dataset", text(run.info.config.dataset.rstrip("/").rpartition("/")[2])),
        ("Images and labels of the dataset", f"<code>{text(run.info.data_hash)}</code>"),
        ("Judged images", f"<code>{text(material.evaluation.data_hash)}</code>"),
        ("Machine", text(_machine(facts))),
        ("Versions", text(_versions(facts))),
    ]
    return section("How this report was made", table((), rows, "words"))


def _machine(facts: Provenance) -> str:
    machine = facts.machine
    memory = machine.get("memory", 0)
    size = f", {memory / 2**30:.0f} GB" if isinstance(memory, int) and memory else ""
    return f"{machine.get('processor', 'unknown')}, {machine.get('cores', '?')} cores{size}"


def _versions(facts: Provenance) -> str:
    return ", ".join(f"{name} {number}" for name, number in facts.versions.items())


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


# A report as one page of HTML: no script, no address but its own.


STYLE = Path(__file__).with_name("report.css")
# Whatever this page may hold, a browser asks nobody for anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(material: Material, limits: Limits) -> str:
    """Return the whole report.

    Args:
        material: what it says.
        limits: of the image files that are read for it.
    """
    body = (
        opening.head(material),
        opening.short(material),
        opening.asked(material),
        opening.images(material, limits),
        figures.taught(material),
        figures.numbers(material),
        figures.confusions(material),
        seen(material, limits),
        limits_section(),
        made(material),
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>Report: {text(material.title)}</title>"
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>"
    )


# The recipe of a report: gather, write, keep it whole or not at all.


STEPS = 4  # two are behind when all that a network has to say is known


def write_report(
    target: Path,
    evaluation: Evaluation,
    judged: SplitPredictions,
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
        settings: where runs and datasets lie.
        progress: told each step before it begins.

    Raises:
        RunError: no such run, or nowhere to write.
    """
    progress(2, STEPS, "Looking for doubts about the images")
    material = gather(load_run(evaluation.run, settings), evaluation, judged, suspects, settings)
    progress(3, STEPS, "Writing")
    write_output(target, page(material, settings.limits).encode())
