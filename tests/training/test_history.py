"""The event log read while it is written."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tlcore.training.history import (
    Epoch,
    EventLog,
    Progress,
    Skipped,
    Stage,
    list_epochs,
    read_events,
    trim_events,
)

EPOCH = Epoch(1, "head", 0.5, 0.75, 0.4, 0.8, 0.1)


def test_events_come_back_as_written(tmp_path: Path) -> None:
    events = [Stage("head", 30), Progress("head", 3), Skipped("a.png", "broken"), EPOCH]
    log = EventLog(tmp_path / "events.jsonl")
    for event in events:
        log.write(event)
    assert read_events(tmp_path / "events.jsonl") == events  # on disk before it is closed
    log.close()
    assert list_epochs(events) == (EPOCH,)


def test_a_torn_last_line_is_not_yet(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write(EPOCH)
    log.close()
    whole = path.read_text()
    for length in range(len(whole)):
        path.write_text(whole + whole[:length])
        assert read_events(path) == [EPOCH]


def test_a_kind_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_events(path) == []
    path.write_text('{"kind": "comet", "tail": 3}\n')
    assert read_events(path) == []


def test_what_is_appended_is_read_and_what_was_taken_back_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write(Stage("head", 3))
    assert len(read_events(path)) == 1
    for number in (1, 2, 3):
        log.write(msgspec.structs.replace(EPOCH, epoch=number))
        assert [epoch.epoch for epoch in list_epochs(read_events(path))] == [*range(1, number + 1)]
    log.close()
    trim_events(path, 1)  # the run goes on from its first epoch
    assert [epoch.epoch for epoch in list_epochs(read_events(path))] == [1]
    log = EventLog(path)
    for number in (2, 3, 4):  # longer than what had been read
        log.write(msgspec.structs.replace(EPOCH, epoch=number, loss=9.0))
    log.close()
    assert [epoch.epoch for epoch in list_epochs(read_events(path))] == [1, 2, 3, 4]
    path.unlink()
    assert read_events(path) == []
