"""The table of both sides' answers, on answers made up by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd

from tlcore.datasets.dataset import Sample
from tlcore.evaluation.batch_table import (
    COLUMNS,
    BatchHead,
    build_batch_table,
    compute_agreement,
    compute_baseline_score,
    compute_head_score,
    count_pairs,
    count_unlabelled,
    fit_batch_baseline,
)
from tlcore.evaluation.intervals import proportion_of
from tlcore.models.predictions import BriefPrediction
from tlcore.ui.compare.answers import search

DOG, CAT = 207, 281  # golden retriever, tabby
HEAD = BatchHead("first", ("cat", "dog"))
PARTS = {"a": "train", "b": "train", "c": "val", "d": "val"}


def answered(*rows: tuple[str, str, int, float, int, float]):
    return [
        (
            Sample(f"{sha}.jpg", Path(sha), sha, label, None),
            (BriefPrediction(first, p), BriefPrediction(second, q)),
        )
        for sha, label, first, p, second, q in rows
    ]


ROWS = answered(
    ("a", "dog", DOG, 0.9, 1, 0.9),
    ("b", "cat", CAT, 0.8, 0, 0.7),
    ("c", "dog", CAT, 0.6, 1, 0.8),  # ImageNet takes it for a cat, the head is right
    ("d", "cat", CAT, 0.9, 0, 1.0),
)


def test_agreement_scores_and_order() -> None:
    baseline = fit_batch_baseline(ROWS, PARTS)
    assert baseline is not None
    assert (baseline[DOG], baseline[CAT]) == ("dog", "cat")
    frame = build_batch_table(ROWS, [HEAD], baseline, PARTS)
    assert frame.iloc[0]["file"] == "c.jpg"  # the one on which they disagree
    assert frame.iloc[0]["disagreement"] == np.float64(0.7)
    assert frame["agree"].sum() == 3
    assert frame.iloc[0]["imagenet"] == "tabby"
    assert frame.iloc[0]["group"] == "cats, small and big"
    assert compute_baseline_score(frame) == proportion_of(1, 2)
    assert compute_head_score(frame) == proportion_of(2, 2)


def test_no_head_is_judged_by_what_it_learned_from() -> None:
    """The second head gives what the first gives; of the two validation images it knows one."""
    rows = [(sample, (*briefs, briefs[-1])) for sample, briefs in ROWS]
    other = BatchHead("second", ("dog", "cat"), frozenset({"c"}))
    frame = build_batch_table(rows, [HEAD, other], fit_batch_baseline(ROWS, PARTS), PARTS)
    assert frame.set_index("file")["head 2"].tolist() == ["cat", "cat", "dog", "dog"]
    assert compute_head_score(frame, 2) == proportion_of(0, 1)
    alone = build_batch_table(
        ROWS, [BatchHead("first", ("cat", "dog"), frozenset({"d"}))], None, PARTS
    )
    assert compute_head_score(alone) == proportion_of(1, 1)


def test_without_training_images_nothing_is_claimed() -> None:
    rows = ROWS[2:]
    assert fit_batch_baseline(rows, PARTS) is None
    frame = build_batch_table(rows, [HEAD], None, PARTS)
    assert frame["agree"].isna().all()
    assert frame["disagreement"].isna().all()
    without_head = build_batch_table([(s, b[:1]) for s, b in rows], [], None, PARTS)
    assert "head" not in without_head
    assert compute_head_score(without_head) is None


def test_what_nobody_can_know_is_blank() -> None:
    """An image without label, one of a class that the head does not know, an ImageNet class of a
    group that training never met: nothing is right or wrong there, and nothing agrees."""
    car, towel = 817, 700
    rows = answered(
        ("a", "dog", DOG, 0.9, 1, 0.9),
        ("b", "cat", CAT, 0.8, 0, 0.7),
        ("e", "car", car, 0.8, 0, 0.7),
        ("f", "unlabelled", DOG, 0.7, 1, 0.6),
        ("g", "unlabelled", towel, 0.5, 0, 0.6),
        ("h", "car", car, 0.5, 0, 0.6),
    )
    parts = {"a": "train", "b": "train", "e": "train", "h": "val"}
    frame = build_batch_table(rows, [HEAD], fit_batch_baseline(rows, parts), parts)
    written = pd.read_csv(io.StringIO(frame.to_csv(index=False)), dtype=str, keep_default_na=False)
    by_file = written.set_index("file")
    columns = ["label", "head_correct", "imagenet_as_label", "agree"]
    assert by_file.loc["a.jpg", columns].tolist() == ["dog", "True", "dog", "True"]
    assert by_file.loc["e.jpg", columns].tolist() == ["car", "", "car", ""]
    assert by_file.loc["f.jpg", columns].tolist() == ["", "", "dog", "True"]
    assert by_file.loc["g.jpg", columns].tolist() == ["", "", "", ""]
    assert by_file.loc["g.jpg", "disagreement"] == ""
    row = next(row for row in json.loads(frame.to_json(orient="records")) if row["file"] == "g.jpg")
    assert [row[column] for column in columns] == [None] * 4
    assert compute_agreement(frame) == proportion_of(3, 3)
    assert compute_baseline_score(frame) == proportion_of(1, 1)
    assert count_unlabelled(frame) == 0
    assert compute_head_score(frame) is None  # it has no class for cars
    assert count_pairs(frame, "imagenet", "label")[1] == ["car", "cat", "dog", "no label"]


def test_the_heat_map_counts_every_image_once() -> None:
    frame = build_batch_table(ROWS, [HEAD], fit_batch_baseline(ROWS, PARTS), PARTS)
    rows, columns, counts = count_pairs(frame, "imagenet", "head")
    assert rows == ["tabby", "golden retriever"]
    assert columns == ["cat", "dog"]
    assert counts.tolist() == [[2, 1], [0, 1]]
    many = pd.DataFrame({"imagenet": [f"class {n}" for n in range(20)], "head": ["x"] * 20})
    rows, _, counts = count_pairs(many, "imagenet", "head")
    assert rows[-1] == "others"
    assert counts.sum() == 20
    many["head"] = [None, *(f"class {n}" for n in range(19))]
    _, columns, counts = count_pairs(many, "imagenet", "head")
    assert columns[-2:] == ["others", "no label"]
    assert (len(columns), counts.sum()) == (COLUMNS + 2, 20)


def test_the_search_wants_every_word() -> None:
    rows = pd.DataFrame(
        {
            "class": ["great grey owl", "barn spider"],
            "group": ["birds", "insects and spiders"],
            "wnid": ["n01622779", "n01773549"],
        }
    )
    assert search(rows, "Owl grey")["wnid"].tolist() == ["n01622779"]
    assert search(rows, "spiders")["class"].tolist() == ["barn spider"]
    assert search(rows, "n0162")["class"].tolist() == ["great grey owl"]
    assert len(search(rows, "")) == 2
    assert len(search(rows, "zebra")) == 0
