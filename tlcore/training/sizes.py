"""How large a network is, for counting what a run will need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of one network, in floats; activations are those of one picture."""

    weights: int  # of all
    largest: int  # activations of its largest layer
    top_weights: int = 0  # above the cut
    top_largest: int = 0
    top_activations: int = 0  # of all layers above the cut
    cut: int = 0  # of the layer at the cut itself
