"""What a person asks of a training run, checked when made, and as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from tlcore.errors import BadConfig, UnknownName
from tlcore.images.geometry import FITS
from tlcore.networks.catalogue import DEFAULT, backbone

POOLINGS = ("avg", "max", "flatten")
HIGHEST_FINE_TUNE_SHARE = 0.1  # of the head's learning rate
MAX_EPOCHS = 1000


@dataclass(frozen=True)
class RunConfig:
    """One run's recipe. ``size`` 0 and ``unfreeze_from`` "" stand for the backbone's own."""

    dataset: str  # a stored set's name, or the absolute path of a folder of class folders
    backbone: str = DEFAULT
    size: int = 0  # side of the network's input, pixels
    fit: str = "crop"  # geometry, a key of FITS
    pooling: str = "avg"  # one of POOLINGS
    epochs: int = 10  # of the head, the base frozen
    fine_tune_epochs: int = 0  # after them, with the top blocks unfrozen
    unfreeze_from: str = ""  # first layer of the base that learns then
    batch_size: int = 16
    learning_rate: float = 1e-3  # of the head, Adam
    fine_tune_learning_rate: float = 0.0  # 0: a twentieth of learning_rate
    dropout: float = 0.0
    val_fraction: float = 0.2  # where the data set brings no validation part
    seed: int = 0
    random_weights: bool = False  # go on without ImageNet's weights

    def __post_init__(self) -> None:
        row = backbone(self.backbone)
        _set(self, "size", row.check_size(self.size or row.size, top=False))
        _set(self, "unfreeze_from", self.unfreeze_from or row.unfreeze_from)
        _set(
            self,
            "fine_tune_learning_rate",
            self.fine_tune_learning_rate or self.learning_rate / 20,
        )
        _known("way to fit a picture", self.fit, FITS)
        _known("pooling", self.pooling, POOLINGS)
        _within("epochs", self.epochs, 1, MAX_EPOCHS)
        _within("fine-tuning epochs", self.fine_tune_epochs, 0, MAX_EPOCHS)
        _within("a batch size", self.batch_size, 1, 1024)
        _within("a learning rate", self.learning_rate, 1e-7, 1.0)
        _within(
            "a learning rate for fine-tuning",
            self.fine_tune_learning_rate,
            1e-9,
            self.learning_rate * HIGHEST_FINE_TUNE_SHARE * (1 + 1e-9),
        )
        _within("a dropout", self.dropout, 0.0, 0.9)
        _within("a validation share", self.val_fraction, 0.05, 0.9)
        _within("a seed", self.seed, 0, 2**31 - 1)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """Read what ``to_json`` gave.

        Raises:
            BadConfig: no JSON object, or with other fields.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise BadConfig(f"Expected a run's configuration. Received {text[:200]!r}.") from error


def _set(config: RunConfig, name: str, value: object) -> None:
    object.__setattr__(config, name, value)  # frozen for everyone but its own making


def _known(what: str, name: str, known: Any) -> None:
    if name not in known:
        raise UnknownName.of(what, name, known)


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadConfig(f"Expected {what} from {low:g} to {high:g}. Received {value:g}.")
