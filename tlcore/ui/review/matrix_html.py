"""The confusion matrix as a table whose cells can be clicked, or reached with Tab and Enter."""

from __future__ import annotations

import html

import numpy as np

from tlcore.evaluation.evaluation import Evaluation
from tlcore.ui.words import label

MOST = 16  # classes drawn: those with the most mistakes


def drawn_classes(found: Evaluation) -> list[int]:
    """Return the indices of the classes that are drawn, in order."""
    counts = np.array(found.matrix)
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    most = np.argsort(-wrong, kind="stable")[:MOST]
    return sorted(most.tolist())


def matrix_html(found: Evaluation, chosen: tuple[int, int] | None) -> str:
    """Return rows of true classes and columns of what was said, darker with more pictures."""
    shown = drawn_classes(found)
    names = [html.escape(label(found.classes[index])) for index in shown]
    head = "".join(f'<th scope="col" title="{name}"><span>{name}</span></th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row" title="{name}"><span>{name}</span></th>'
        + "".join(_cell(found, true, said, chosen) for said in shown)
        + "</tr>"
        for true, name in zip(shown, names, strict=True)
    )
    wide = " many" if len(shown) > 3 else ""
    return (
        f'<div class="matrix"><table class="confusion{wide}">'
        f"<thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(found: Evaluation, true: int, said: int, chosen: tuple[int, int] | None) -> str:
    number = found.matrix[true][said]
    kind = "right" if true == said else "wrong"
    whole = max(1, sum(found.matrix[true]))
    if not number:
        return f'<td class="{kind} none">0</td>'
    words = f"{number} of {label(found.classes[true])} called {label(found.classes[said])}"
    mark = " chosen" if chosen == (true, said) else ""
    return (
        f'<td class="{kind}{mark}" data-pick="{true}-{said}" tabindex="0" role="button" '
        f'aria-label="{html.escape(words)}" title="{html.escape(words)}" '
        f'style="--share:{number / whole:.3f}">{number:,}</td>'
    )
