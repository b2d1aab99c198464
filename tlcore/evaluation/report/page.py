"""A report as one page of HTML: no script, no address but its own."""

from __future__ import annotations

from pathlib import Path

from tlcore.evaluation.report import closing, figures, opening
from tlcore.evaluation.report.marks import text
from tlcore.evaluation.report.material import Material
from tlcore.settings import Limits

STYLE = Path(__file__).with_name("report.css")
# Whatever this page may hold, a browser asks nobody for anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(material: Material, limits: Limits) -> str:
    """Return the whole report.

    Args:
        material: what it says.
        limits: of the picture files that are read for it.
    """
    body = (
        opening.head(material),
        opening.short(material),
        opening.asked(material),
        opening.pictures(material, limits),
        figures.taught(material),
        figures.numbers(material),
        figures.confusions(material),
        closing.seen(material, limits),
        closing.limits_section(),
        closing.made(material),
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>Report: {text(material.title)}</title>"
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>"
    )
