"""Curves of runs: axes that hold what there is, named stages, ten lines told apart."""

from __future__ import annotations

import math

import pytest

from tlcore.training.history import Epoch
from tlcore.ui.fine_tune.curves import build_curves, count_diverged, fit_axis, overlay_curves
from tlcore.ui.theme import LIGHT


def epoch(number: int, stage: str = "head", loss: float = 0.5) -> Epoch:
    return Epoch(number, stage, loss, 0.8, loss, 0.7, 0.1, time=0.0)


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        ("loss", [], (0.5, 1.0, 0.1)),
        ("loss", [0.14, 0.61, math.nan], (0.1, 0.7, 0.1)),
        ("loss", [math.inf], (0.5, 1.0, 0.1)),
        ("loss", [1e30, 3e30], (1e30, 3e30, 5e29)),
        ("accuracy", [0.9, 0.95], (0.9, 0.95, 0.01)),
        ("accuracy", [0.27, math.nan], (0.27, 0.28, 0.01)),
        ("accuracy", [0.55, 1.0], (0.5, 1.0, 0.1)),
        ("accuracy", [1.0, 1.0], (1.0, 1.01, 0.01)),
    ],
)
def test_an_axis_is_fitted_to_the_values_with_whole_ticks(
    metric: str, values: list[float], expected: tuple[float, float, float]
) -> None:
    assert fit_axis(metric, values) == pytest.approx(expected)


def test_the_ends_of_the_lines_have_their_values_apart() -> None:
    figure = build_curves([epoch(1), epoch(2)], {"head": 2, "fine-tune": 0})
    ends = [note for note in figure.layout.annotations if note.x == 2]
    assert [note.text for note in ends] == ["80%", "70%", "0.5", "0.5"]
    assert [note.yshift for note in ends] == [0, 0, -8, 8]
    assert figure.layout.xaxis.unifiedhovertitle.text == "epoch %{x}"
    hues = {LIGHT.pretrained, LIGHT.head}
    assert not hues & {line.line.color for line in figure.data}


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    history = [epoch(1), epoch(2, loss=math.nan), epoch(3, loss=-math.inf)]
    assert count_diverged(history) == 2
    figure = build_curves(history, {"head": 3, "fine-tune": 0})
    drawn = {line.name: list(line.y) for line in figure.data}
    assert drawn["validation loss"] == [0.5, None, None]
    assert drawn["validation accuracy"] == [0.7] * 3


@pytest.mark.parametrize(
    ("planned", "named", "lines"),
    [
        ({"head": 3, "fine-tune": 0}, {"head": 0.5}, []),
        ({"head": 3, "fine-tune": 2}, {"head": 0.5, "fine-tuning": 3.5}, [3.5]),
        ({"head": 9, "fine-tune": 1}, {"head": 0.5, "fine-tuning": 10.5}, [9.5]),  # at its end
        ({"head": 0, "fine-tune": 2}, {"fine-tuning": 0.5}, []),
    ],
)
def test_stages_are_named_at_their_first_epoch(
    planned: dict[str, int], named: dict[str, float], lines: list[float]
) -> None:
    figure = build_curves([epoch(1)], planned)
    names = {n.text: n.x for n in figure.layout.annotations if n.text in ("head", "fine-tuning")}
    assert names == named
    assert [shape.x0 for shape in figure.layout.shapes] == lines
    assert figure.layout.xaxis.range == (0.5, sum(planned.values()) + 0.5)


def test_the_axis_of_many_runs_holds_only_what_is_drawn() -> None:
    steep = Epoch(1, "head", 50.0, 0.1, 0.6, 0.8, 1.0)
    figure = overlay_curves({"<b>one</b>": [steep]})
    assert figure.layout.yaxis2.range[1] < 3
    assert figure.data[0].name == "&lt;b&gt;one&lt;/b&gt;"


def test_ten_runs_have_ten_looks_the_same_in_both_panels() -> None:
    figure = overlay_curves({f"run {number}": [epoch(1), epoch(2)] for number in range(10)})
    looks = [(line.line.color, line.line.dash) for line in figure.data]
    assert len(set(looks[:10])) == 10
    assert looks[:10] == looks[10:]
    assert [line.yaxis for line in figure.data] == ["y"] * 10 + ["y2"] * 10
