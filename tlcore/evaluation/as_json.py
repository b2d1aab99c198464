"""An evaluation as JSON, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

from tlcore.evaluation.comparison import Difference, Verdict
from tlcore.evaluation.evaluation import Evaluation, Majority, TwoClass
from tlcore.evaluation.intervals import Share
from tlcore.evaluation.metrics import ClassFigures
from tlcore.models.calibration import Bin, Calibration

Json = dict[str, Any]


def to_json(evaluation: Evaluation) -> Json:
    """Return plain values only: numbers, texts, lists and None."""
    return _plain(dataclasses.asdict(evaluation))


def from_json(fields: Json) -> Evaluation:
    """Return the evaluation that ``to_json`` made this of; other keys are passed over.

    Raises:
        KeyError, TypeError: no evaluation.
    """
    fields = {field.name: fields[field.name] for field in dataclasses.fields(Evaluation)}
    two, imagenet = fields["two_class"], fields["imagenet"]
    majority, beside = fields["majority"], fields["beside_imagenet"]
    return Evaluation(
        **fields
        | {
            "classes": tuple(fields["classes"]),
            "unreadable": tuple(fields["unreadable"]),
            "warnings": tuple(fields["warnings"]),
            "matrix": tuple(tuple(row) for row in fields["matrix"]),
            "accuracy": Share(**fields["accuracy"]),
            "balanced_accuracy": Share(**fields["balanced_accuracy"]),
            "calibration": _calibration(fields["calibration"]),
            "per_class": tuple(_figures(row) for row in fields["per_class"]),
            "majority": Majority(
                majority["label"], Share(**majority["accuracy"]), _difference(majority["beside"])
            ),
            "imagenet": _share(imagenet),
            "beside_imagenet": None if beside is None else _difference(beside),
            "two_class": None if two is None else TwoClass(**two),
        }
    )


def _calibration(fields: Json) -> Calibration:
    return Calibration(**fields | {"bins": tuple(Bin(**each) for each in fields["bins"])})


def _figures(fields: Json) -> ClassFigures:
    shares = {name: _share(fields[name]) for name in ("precision", "recall")}
    return ClassFigures(**fields | shares)


def _difference(fields: Json) -> Difference:
    shares = {name: Share(**fields[name]) for name in ("first", "second")}
    return Difference(**fields | shares | {"verdict": Verdict(fields["verdict"])})


def _share(fields: Json | None) -> Share | None:
    return None if fields is None else Share(**fields)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
