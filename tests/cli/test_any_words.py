"""Every option of every command with what nobody should type: words, never a traceback."""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import keras
import pytest

from tests.cli.running import answer, refusals, tlcore
from tests.images import write_patches
from tlcore.__main__ import build_parser
from tlcore.cli.options import parse_output
from tlcore.settings import Settings
from tlcore.text import csv_text
from tlcore.training.run import write_notes
from tlcore.training.store import format_csv, list_runs, tabulate_runs

SMALL = ("--backbone", "MobileNet-0.25", "--size", "32", "--random-weights")
NASTY = ("", "٣", "nan", "9" * 400, "9" * 5000, "x" * 1000, "\udcff")
NO_FILES = ("", "/", "x" * 1000, "/dev/full")  # none of them can be written


@dataclass(frozen=True)
class Place:
    """A workspace with a stored set and a finished run."""

    settings: Settings
    data: Path
    image: Path
    run: str

    @property
    def commands(self) -> dict[str, tuple[str, ...]]:
        """A line for each command, which works as it stands."""
        image, run, data = str(self.image), self.run, str(self.data)
        out = str(self.data.parent / "out")
        features = ("features", image, "--layer", "conv_pw_3_relu")
        return {
            "weights": ("weights",),
            "weights fetch": ("weights", "fetch", "AlexNet"),
            "predict": ("predict", image, *SMALL),
            "features": (*features, *SMALL),
            "summary": ("summary", *SMALL[:4]),
            "dataset import": ("dataset", "import", data, "--name", "other"),
            "dataset doctor": ("dataset", "doctor", "patches"),
            "dataset show": ("dataset", "show", "patches"),
            "dataset split": ("dataset", "split", "patches"),
            "dataset undo": ("dataset", "undo", "patches"),
            "dataset export": ("dataset", "export", "patches", f"{out}.zip"),
            "train": ("train", data, *SMALL, "--epochs", "1"),
            "runs show": ("runs", "show", run),
            "runs stop": ("runs", "stop", run),
            "runs compare": ("runs", "compare", run),
            "runs evaluate": ("runs", "evaluate", run),
            "runs report": ("runs", "report", run, f"{out}.html"),
            "runs export": ("runs", "export", run, f"{out}.zip"),
            "runs script": ("runs", "script", run, f"{out}.py"),
        }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    home = tmp_path_factory.mktemp("any-words")
    settings = Settings(home=home / "home", keras_home=home, weights_url="http://127.0.0.1:9")
    data = write_patches(home / "data", classes=2, each=4)
    answer(settings, "dataset", "import", data, "--name", "patches")
    trained = answer(settings, "train", data, *SMALL, "--epochs", "1")
    return Place(settings, data, data / "blue" / "00.png", trained["run"])


def options_of(command: str) -> Iterator[argparse.Action]:
    """The options and arguments that a command reads a value for."""
    parser = build_parser()
    for word in command.split():
        (subparsers,) = (
            action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
        )
        parser = subparsers.choices[word]
    for action in parser._actions:
        if action.nargs != 0 and not isinstance(action, argparse._SubParsersAction):
            yield action


def nasty_lines(
    command: str, words: tuple[str, ...], turn: Iterator[int], each: int
) -> list[tuple[str, ...]]:
    """The command's line with one value exchanged for a nasty one: some, in turn, an option."""
    lines = []
    arguments = 0  # without a name, in the order of the line
    for action in options_of(command):
        at = len(command.split()) + arguments
        arguments += not action.option_strings
        values = NO_FILES if action.type is parse_output else NASTY
        for value in {values[next(turn) % len(values)] for _ in range(each)}:
            if action.option_strings:
                lines.append((*words, f"{action.option_strings[0]}={value}"))
            elif value:
                lines.append((*words[:at], value, *words[at + 1 :]))
    return lines


def test_no_command_ends_in_a_traceback_whatever_its_options_are(
    place: Place, request: pytest.FixtureRequest
) -> None:
    """Two values an option; with --all each of them."""
    turn, each = count(), len(NASTY) if request.config.getoption("--all") else 2
    lines = [
        line
        for command, words in place.commands.items()
        for line in nasty_lines(command, words, turn, each)
    ]
    assert len(lines) > 60 * each
    for line, (status, said) in zip(lines, refusals(place.settings, lines), strict=True):
        shown = [word[:60] for word in line]
        assert status in (0, 1, 2), (shown, said[-3000:])
        assert "Traceback" not in said, (shown, said[-3000:])
        # what "predict" cannot read stands in its table
        assert status == 0 or said.strip() or line[0] == "predict", shown
    assert Path("/dev/full").is_char_device()


def test_an_answer_goes_nowhere_where_no_file_can_be(place: Place, tmp_path: Path) -> None:
    """Known before anything is computed; a device stays a device."""
    device = Path("/dev/full")
    run, image = place.run, place.image
    wrong = {
        tmp_path: "a folder",
        device: "a device or a pipe",
        tmp_path / "none" / "file": "there is no folder",
    }
    lines = [
        line
        for target in wrong
        for line in (
            ("predict", image, *SMALL, "--csv", target),
            ("predict", image, *SMALL, "--explain", target),
            ("features", image, *SMALL, "--layer", "conv_pw_1_relu", "--npz", target),
            ("features", image, *SMALL, "--layer", "conv_pw_1_relu", "--png", target),
            ("dataset", "export", "patches", target),
            ("runs", "report", run, target),
            ("runs", "export", run, target),
            ("runs", "script", run, target),
        )
    ]
    for line, (status, said) in zip(lines, refusals(place.settings, lines), strict=True):
        assert status == 2
        assert next(words for target, words in wrong.items() if target in line) in said
    assert device.is_char_device()


def test_channels_without_end_are_refused_at_once(place: Place) -> None:
    words = ("features", place.image, *SMALL, "--layer", "conv_pw_1_relu", "--channels")
    [(status, said)] = refusals(place.settings, [(*words, "0-99999999999")])
    assert status == 2
    assert "Expected channels like 0-3,7, each below 100,000. Received '0-99999999999'." in said


def copies(settings: Settings, run: str, file: str, contents: Iterable[bytes]) -> list[str]:
    """Copy a run once for each content of one of its files; return the ids."""
    ids = []
    for number, content in enumerate(contents):
        ids.append(f"{run}-{file}-{number}")
        shutil.copytree(settings.runs / run, settings.runs / ids[-1])
        (settings.runs / ids[-1] / file).write_bytes(content)
    return ids


def test_a_run_whose_checkpoint_is_damaged_stays_as_it_is(place: Place) -> None:
    """Every kind of damage is said, and the history is not cut."""
    settings = place.settings
    killed = answer(settings, "train", place.data, *SMALL, "--epochs", "2")["run"]
    (settings.runs / killed / "status.json").unlink()
    good = (settings.runs / killed / "checkpoint.npz").read_bytes()
    empty_zip, pickle = b"PK\x05\x06" + bytes(18), b"\x80\x04N."
    damages = (b"", good[: len(good) // 2], b"garbage" * 100, pickle, empty_zip)
    runs = copies(settings, killed, "checkpoint.npz", damages)
    told = refusals(settings, [("train", "--resume", run) for run in [*runs, killed]])
    for run, (status, said) in zip(runs, told, strict=False):
        assert status == 1
        assert "The file checkpoint.npz in" in said
        assert "is damaged" in said
        assert "Run it again with the same settings" in said
        folders = (settings.runs / run, settings.runs / killed)
        one, other = ((folder / "events.jsonl").read_bytes() for folder in folders)
        assert other.startswith(one)
        assert not (folders[0] / "queued").exists()
    assert told[-1][0] == 0  # the whole one goes on


def test_code_in_a_network_is_not_executed(place: Place, tmp_path: Path) -> None:
    """A stranger's model.keras with a Lambda layer, and files that are none at all."""
    settings, trace = place.settings, tmp_path / "executed"

    def leave_a_trace(x: object, file: str = str(trace)) -> object:
        __import__("pathlib").Path(file).touch()
        return x

    layer = keras.layers.Lambda(lambda x, file=str(trace): leave_a_trace(x, file))
    keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), layer]).save(
        tmp_path / "strange.keras"
    )
    trace.unlink()  # left as it was built
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    whole = (settings.runs / place.run / "model.keras").read_bytes()
    contents = [(tmp_path / f"{name}.keras").read_bytes() for name in ("strange", "other")]
    contents += [b"", b"garbage", whole[:4000]]
    runs = copies(settings, place.run, "model.keras", contents)
    lines = [("predict", place.image, "--run", run) for run in runs]
    lines += [
        ("features", place.image, "--run", runs[0], "--layer", "conv_pw_1_relu"),
        ("runs", "export", runs[0], tmp_path / "bundle.zip"),
    ]
    told = refusals(settings, lines)
    for line, (status, said) in zip(lines, told, strict=True):
        assert status == 1, line
        assert "model.keras of run" in said, said[-2000:]
        assert "Traceback" not in said
    for _, said in (told[0], *told[-2:]):
        assert "holds code (a Lambda layer), which is not executed" in said
    assert not trace.exists()


def test_no_cell_of_a_table_is_a_formula(place: Place, tmp_path: Path) -> None:
    evil = ["=1+1.png", "+1.png", "-1.png", "@SUM(1).png", "\t=1.png", " =1.png", "＝1.png"]
    table = tmp_path / "table.csv"
    done = tlcore(place.settings, "predict", *SMALL, "--csv", table, place.image, "--", *evil)
    assert done.returncode == 1  # none of them is there
    with table.open(newline="", encoding="utf-8") as file:
        answers, errors = [], []
        for row in csv.DictReader(file):
            errors.append(row) if row["error"] else answers.append(row)
    assert [row["image"] for row in errors] == [f"'{name}" for name in evil]
    logits = [float(row["logit"]) for row in answers]  # a number stays a number
    assert len(logits) == 5


def test_no_cell_of_the_list_of_runs_is_a_formula(place: Place) -> None:
    write_notes(place.settings.runs / place.run, "=HYPERLINK(1)", "-2+3", ("@a", "b"))
    rows = list(csv.DictReader(format_csv(tabulate_runs(list_runs(place.settings))).splitlines()))
    row = next(row for row in rows if row["id"] == place.run)
    assert (row["name"], row["note"], row["tags"]) == ("'=HYPERLINK(1)", "'-2+3", "'@a b")
    assert float(row["val_loss"]) > 0
    assert csv_text([("-1.5", -2, "+3e4", "-", "−1", "a=b", None)]) == "-1.5,-2,+3e4,'-,−1,a=b,\r\n"
