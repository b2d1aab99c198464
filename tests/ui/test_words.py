"""Numbers as people read them, on figures worked out by hand."""

from __future__ import annotations

import re

import pytest

from tlcore.text import file_size, name_download
from tlcore.ui.format import accuracy, duration, escape_md, plural, time_ago


def test_accuracy_says_its_doubt() -> None:
    assert accuracy(144 / 153, 153) == "94% (89–97, 153 images)"
    assert accuracy(1.0, 1) == "100% (21–100, 1 image)"
    assert accuracy(0.9, 0) == "90%"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0154, "15 ms"),
        (0.9949, "995 ms"),
        (1.0, "1.0 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3840, "1 h 4 min"),
        (-1, "0 ms"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3, "just now"), (125, "2 min ago"), (3600, "1 hour ago"), (172_800, "2 days ago")],
)
def test_ago(seconds: float, said: str) -> None:
    assert time_ago(1000.0, 1000.0 + seconds) == said


def test_a_download_is_named_after_its_dataset_and_a_date() -> None:
    name = name_download("ants & bees", "model.keras", "2026-03-09 1417")
    assert name == "ants---bees 2026-03-09 1417 model.keras"
    assert re.fullmatch(r"mine \d{4}-\d\d-\d\d maps\.npz", name_download("mine", "maps.npz"))


def test_sizes_and_counts() -> None:
    assert file_size(1) == "1 byte"
    assert file_size(173) == "173 bytes"
    assert file_size(185_761) == "181 kB"
    assert file_size(14 * 2**20) == "14 MB"
    assert file_size(3.25 * 2**20) == "3.2 MB"
    assert file_size(1.5 * 2**30) == "1.5 GB"
    assert plural(1, "class", "classes") == "1 class"
    assert plural(12_000, "image") == "12,000 images"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b*c.jpg", r"a\_b\*c.jpg"),
        ("<b>$x$", r"\<b\>\$x\$"),
        ("run `python -m x_y` now_", r"run `python -m x_y` now\_"),
        ("one ` alone_", r"one \` alone\_"),
        (":red[no]", r"\:red\[no\]"),
        ("open `http://localhost:80` now", "open `http://localhost:80` now"),  # to be copied
        (":material/star: 12:30", "\\:\u2060material/star\\: 12\\:30"),
    ],
)
def test_plain_shows_a_text_as_it_is(text: str, shown: str) -> None:
    assert escape_md(text) == shown
