"""The model card: what the network is, how good, for what, and how far each format is the page's.

Its headings follow M. Mitchell et al., "Model cards for model reporting" (FAT* 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tlcore.evaluation.intervals import Proportion, proportion_of
from tlcore.evaluation.predictions import SplitPredictions
from tlcore.exports.bundle_check import FORMATS, FormatCheck
from tlcore.exports.recipe_text import recipe
from tlcore.percentages import percent
from tlcore.text import count
from tlcore.training.provenance import read_provenance_or_default
from tlcore.training.run import Run, title_run

CLASSES = 40  # at most, that the card names

LIMITS = (
    "It knows these classes only, and names one of them for every image, whatever it shows.",
    "It was judged by images of the same source as those it learned from. On images from "
    "elsewhere it may be worse: try it on yours before you rely on it.",
    "A probability is how sure the network is, not how often it is right.",
    "The licences of the images and of the pretrained weights are those of their owners; this "
    "bundle adds none and says nothing about them.",
)


def card(
    run: Run,
    checks: Sequence[FormatCheck],
    versions: dict[str, str],
    tested: SplitPredictions | None,
) -> str:
    """Return the card in Markdown.

    Args:
        run: a run with a network.
        checks: what came of each format.
        versions: of the packages that wrote the formats.
        tested: its answers on the test part, where they are known.
    """
    parts = (
        _head(run),
        _answers(run),
        _data(run),
        "## How it was taught\n\n" + _table(("What", "How"), recipe(run)),
        _figures(run, tested),
        _formats(checks),
        "## Limits\n\n" + "\n".join(f"- {line}" for line in LIMITS),
        _versions(run, versions),
    )
    return "\n\n".join(parts) + "\n"


def _head(run: Run) -> str:
    made = datetime.fromtimestamp(run.info.created)
    return (
        f"# {title_run(run.info)}\n\nA classifier of images: it says which of "
        f"{len(run.classes)} classes an image belongs to. Run {run.info.id}, trained on "
        f"{made:%d %B %Y}."
    )


def _answers(run: Run) -> str:
    size = run.info.config.size
    names = ", ".join(run.classes[:CLASSES])
    more = f" and {len(run.classes) - CLASSES} more" if len(run.classes) > CLASSES else ""
    return (
        f"## What goes in, what comes out\n\nIn: one image or several, 8-bit RGB, "
        f"{size} × {size} pixels, `uint8 (n, {size}, {size}, 3)`, called `image`. "
        "Preprocessing is inside. Out: a probability for each class, "
        f"`float32 (n, {len(run.classes)})`, called "
        "`probabilities`, in the order of `labels.json`.\n\n"
        f"Classes: {names}{more}.\n\n"
        "`predict.py` turns any image file into that square, as the page does, and names the "
        "answer:\n\n```sh\npip install -r requirements.txt\npython predict.py photo.jpg\n```\n\n"
        "It takes the first of TFLite, SavedModel and Keras for which this Python has a runtime; "
        f"`--format` takes {', '.join(FORMATS)}. For TFLite alone `requirements-tflite.txt` is "
        "enough: no TensorFlow."
    )


def _data(run: Run) -> str:
    counts = run.images
    return (
        f"## Data\n\n{counts.get('train', 0):,} images to learn from, {counts.get('val', 0):,} "
        f"to judge by (validation). SHA-256 of the dataset, all images with their labels: "
        f"`{run.info.data_hash}`."
    )


def _figures(run: Run, tested: SplitPredictions | None) -> str:
    info, count = run.info, run.images.get("val", 0)
    lines = []
    if tested is not None:
        right = proportion_of(int(tested.correct.sum()), len(tested))
        lines.append(f"{_accuracy('Test', right)} kept back from everything.")
    if info.val_accuracy is not None and count:
        right = proportion_of(round(info.val_accuracy * count), count)
        chose = info.keeps_best
        chosen = " They chose the epoch that is kept." if chose else ""
        lines.append(f"{_accuracy('Validation', right)} that it has not learned from.{chosen}")
    said = "\n\n".join(lines) or "It was stopped before it was judged."
    return f"## How good it is\n\n{said}"


def _accuracy(part: str, right: Proportion) -> str:
    return (
        f"{part} accuracy {percent(right.value, 1)}, 95% interval {percent(right.low, 1)} to "
        f"{percent(right.high, 1)}, {count(right.images, 'image')}"
    )


def _formats(checks: Sequence[FormatCheck]) -> str:
    rows = [_format_row(check) for check in checks]
    lines = [
        f"- {FORMATS[check.format].title} is not in this bundle. {check.error}"
        for check in checks
        if not check.included
    ]
    lines += [
        f"- {FORMATS[check.format].title}: {check.text}"
        for check in checks
        if check.included and check.differs
    ]
    return "\n\n".join(
        [
            "## Formats\n\nEach was loaded in a fresh process by `predict.py` and compared with "
            "the answers of the page that trained it.",
            _table(("Format", "File", "Size", "Images", "Greatest difference", "Same class"), rows),
            *(["\n".join(lines)] if lines else []),
        ]
    )


def _format_row(check: FormatCheck) -> tuple[str, ...]:
    form = FORMATS[check.format]
    if check.max_difference is None:
        return form.title, form.file, "–", "–", "–", "–"
    return (
        form.title,
        f"`{form.file}`" if check.included else "–",
        f"{check.bytes / 2**20:.1f} MB",
        str(check.images),
        f"{check.max_difference:.1e}",
        f"{check.same_class} of {check.images}",
    )


def _versions(run: Run, versions: dict[str, str]) -> str:
    trained = read_provenance_or_default(run.info.folder).versions
    rows = [
        (name, trained.get(name, "–"), versions.get(name, "–"))
        for name in dict.fromkeys([*versions, *trained])
    ]
    return "## Versions\n\n" + _table(("Package", "trained with", "bundled with"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
