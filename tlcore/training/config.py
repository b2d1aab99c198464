"""The tables a recipe chooses from: a name, and what it means in one sentence for a person."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.geometry import FITS
from tlcore.datasets.splits import check_class_names, split_samples
from tlcore.errors import BadConfig, BadDataset, DamagedFile, UnknownName
from tlcore.models.catalog import DEFAULT, backbone
from tlcore.storage import read_json

POOLINGS: Mapping[str, str] = MappingProxyType(
    {
        "avg": "average of each map",
        "max": "maximum of each map",
        "flatten": "none, all values",
    }
)
OUTPUTS: Mapping[str, str] = MappingProxyType(
    {
        "sigmoid": "one sigmoid unit for two classes, a softmax for more",
        "softmax": "a softmax with a unit for each class",
    }
)
OPTIMIZERS: Mapping[str, str] = MappingProxyType(
    {
        "adam": "Adam: each weight has a step of its own; a safe choice",
        "rmsprop": "RMSprop: the same without momentum, as older recipes have it",
        "sgd": "SGD with momentum 0.9: one step for all; wants a higher rate",
    }
)
SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "constant": "the same rate throughout",
        "cosine": "falls to zero along a cosine, stage by stage",
    }
)
BALANCES: Mapping[str, str] = MappingProxyType(
    {
        "none": "every image counts the same",
        "weights": "every class counts the same: images of rare classes weigh more",
        "sampling": "every class comes as often: images of rare classes are repeated",
    }
)
AUGMENTATIONS: Mapping[str, str] = MappingProxyType(
    {
        "flip": "mirrored left to right, every second time",
        "shift": "shifted by up to a tenth, enlarged by up to a fifth",
        "rotate": "turned by up to 15 degrees",
        "light": "brightness and contrast changed by up to a fifth",
    }
)


# What a person asks of a training run, checked when made, and as JSON.


HIGHEST_FINE_TUNE_SHARE = 0.1  # of the head's learning rate
GENTLE = 1e-4
MAX_EPOCHS = 1000
MAX_HIDDEN = 4  # dense layers before the last
MAX_VIEWS = 32


def gentle(learning_rate: float) -> float:
    """Return the top blocks' learning rate where none is given: a twentieth of the head's, but no
    more than a pretrained layer bears (a head may want a hundred times as much)."""
    return min(learning_rate / 20, GENTLE)


@dataclass(frozen=True)
class RunConfig:
    """One run's recipe. ``size`` 0 and ``unfreeze_from`` "" stand for the backbone's own."""

    dataset: str  # a stored set's name, or the absolute path of a folder of class folders
    backbone: str = DEFAULT
    size: int = 0  # side of the network's input, pixels
    fit: str = "crop"  # geometry, a key of FITS
    pooling: str = "avg"  # a key of POOLINGS
    epochs: int = 10  # of the head, the base frozen; 0 leaves the stage out
    fine_tune_epochs: int = 0  # after them, with the top blocks unfrozen
    unfreeze_from: str = ""  # first layer of the base that learns then
    batch_size: int = 16
    learning_rate: float = 1e-3  # of the head
    fine_tune_learning_rate: float = 0.0  # 0: ``gentle`` of learning_rate
    dropout: float = 0.0  # before each dense layer
    val_fraction: float = 0.2  # where the dataset brings no validation part
    seed: int = 0
    random_weights: bool = False  # go on without ImageNet's weights
    hidden: tuple[int, ...] = ()  # units of dense layers before the last, relu
    output: str = "sigmoid"  # a key of OUTPUTS
    label_smoothing: float = 0.0  # share of the certainty taken off the labels
    balance: str = "none"  # a key of BALANCES
    optimizer: str = "adam"  # a key of OPTIMIZERS
    schedule: str = "constant"  # of the learning rate, a key of SCHEDULES
    patience: int = 0  # epochs without a lower validation loss before a stage ends; 0: never
    augment: tuple[str, ...] = tuple(AUGMENTATIONS)  # used with views or free_augmentation
    views: int = 0  # augmented views stored for each image; 0: the images as they are
    free_augmentation: bool = False  # a fresh view in each epoch; the network runs each time

    def __post_init__(self) -> None:
        row = backbone(self.backbone)
        _set(self, "size", row.check_size(self.size or row.size, top=False))
        _set(self, "unfreeze_from", self.unfreeze_from or row.unfreeze_from)
        _set(
            self,
            "fine_tune_learning_rate",
            self.fine_tune_learning_rate or gentle(self.learning_rate),
        )
        _set(self, "hidden", tuple(self.hidden))
        _set(self, "augment", tuple(self.augment))
        self._check_names()
        self._check_numbers()

    def _check_names(self) -> None:
        _known("way to fit an image", self.fit, FITS)
        _known("pooling", self.pooling, POOLINGS)
        _known("output", self.output, OUTPUTS)
        _known("balance", self.balance, BALANCES)
        _known("optimizer", self.optimizer, OPTIMIZERS)
        _known("schedule", self.schedule, SCHEDULES)
        for name in self.augment:
            _known("kind of augmentation", name, AUGMENTATIONS)

    def _check_numbers(self) -> None:
        _within("epochs", self.epochs, 0, MAX_EPOCHS)
        _within("fine-tuning epochs", self.fine_tune_epochs, 0, MAX_EPOCHS)
        _within("epochs in all", self.epochs + self.fine_tune_epochs, 1, 2 * MAX_EPOCHS)
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
        _within("a number of dense layers before the last", len(self.hidden), 0, MAX_HIDDEN)
        for units in self.hidden:
            _within("units of a dense layer", units, 1, 4096)
        _within("a label smoothing", self.label_smoothing, 0.0, 0.5)
        _within("a patience", self.patience, 0, MAX_EPOCHS)
        _within("views an image", self.views, 0, MAX_VIEWS)
        if (self.views or self.free_augmentation) and not self.augment:
            raise BadConfig(
                f"Expected a kind of augmentation ({', '.join(AUGMENTATIONS)}). Received none. "
                "Choose one, or leave augmentation out."
            )
        if self.views and self.free_augmentation:
            raise BadConfig(
                "Expected stored views or free augmentation. Received both. Choose one of them."
            )

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def read_config(path: Path) -> RunConfig:
    """Read a config.json, which holds what ``to_json`` gave.

    A setting that is not known is refused: a run that is resumed without it would be another run.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: it cannot be read, or has a setting or a value that is not known.
    """
    settings = read_json(path, dict[str, Any], newest=1)
    settings.pop("version", None)
    unknown = settings.keys() - {field.name for field in dataclasses.fields(RunConfig)}
    if unknown:
        raise DamagedFile(path, f"this program does not know its setting {min(unknown)!r}")
    try:
        return msgspec.convert(settings, RunConfig)
    except (msgspec.ValidationError, BadConfig, UnknownName) as error:
        raise DamagedFile(path, str(error).rstrip(".")) from error


def differences(configs: Iterable[RunConfig]) -> dict[str, tuple[Any, ...]]:
    """Return the fields in which the configurations differ, with the value of each."""
    rows = [config.to_json() for config in configs]
    columns = {name: tuple(row[name] for row in rows) for name in (rows[0] if rows else ())}
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def _set(config: RunConfig, name: str, value: object) -> None:
    object.__setattr__(config, name, value)  # frozen for everyone but its own making


def _known(what: str, name: str, known: Any) -> None:
    if name not in known:
        raise UnknownName.of(what, name, known)


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadConfig(f"Expected {what} from {low:g} to {high:g}. Received {value:g}.")


# How large a network is, for counting what a run will need.


@dataclass(frozen=True)
class Sizes:
    """Numbers of one network, in floats; activations are those of one image."""

    weights: int  # of all
    largest: int  # activations of its largest layer
    top_weights: int = 0  # above the cut
    top_largest: int = 0
    top_activations: int = 0  # of all layers above the cut
    cut: int = 0  # of the layer at the cut itself


# What is refused before anything is computed: it would fail, or learn nothing, minutes later.


def check_recipe(config: RunConfig, dataset: Dataset) -> None:
    """Refuse a run that cannot be trained, before there is one.

    Only a layer to unfreeze from that is none of the backbone's ``blocks`` has to be looked for
    in the network, which loads TensorFlow.

    Raises:
        BadDataset: a part or a class has no images, or a class has the name of a split.
        UnknownName: the network has no layer of that name to unfreeze from.
    """
    check_class_names(dataset)
    check_splits(*split_samples(dataset, config.val_fraction, config.seed))
    row = backbone(config.backbone)
    if config.fine_tune_epochs and config.unfreeze_from not in (row.unfreeze_from, *row.blocks):
        from tlcore.models.build import architecture, cut_below

        imagenet = not config.random_weights
        base = architecture(row, config.size, top=False, imagenet=imagenet)
        cut_below(base, config.unfreeze_from)


def check_splits(train: Sequence[Sample], val: Sequence[Sample]) -> None:
    """Refuse a division with nothing in a part.

    Raises:
        BadDataset: no image to learn from, or none to judge by.
    """
    for name, samples in (("training", train), ("validation", val)):
        if not samples:
            raise nothing_for(name)


def nothing_for(part: str) -> BadDataset:
    return BadDataset(
        f"Expected images for {part}. Received none that can be read. Add images: each "
        "class needs at least two, one to train on and one to judge by."
    )


def check_classes(classes: Iterable[str], readable: Sequence[Sample]) -> None:
    """Refuse to learn with a class of which no image is left.

    Raises:
        BadDataset: naming such classes.
    """
    empty = sorted(set(classes) - {sample.label for sample in readable})
    if empty:
        raise BadDataset(
            f"Expected an image to learn from in every class. Received none that can be read of "
            f"{', '.join(empty)}. Add images, or leave the class out."
        )
