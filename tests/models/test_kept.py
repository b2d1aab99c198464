"""Maps are kept up to a bound, and what is let go of is the system's again."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from tlcore.activations import extract as kept
from tlcore.activations.extract import ActivationCache, give_back

SMALL = np.zeros((4, 4), np.float32)  # 64 bytes


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_the_longest_unused_goes_first_and_the_bound_holds() -> None:
    values = ActivationCache(3 * SMALL.nbytes)
    for name in "abc":
        values.put(name, SMALL)
    assert values.get("a") is SMALL  # now the latest used
    values.put("d", SMALL)
    assert values.get("b") is None
    assert values.get("a") is SMALL
    assert len(values) == 3
    assert values.bytes == values.bound
    values.put("whole", np.zeros((100, 100), np.float32))  # larger than all there is room for
    assert values.get("whole") is None
    assert len(values) == 3


def test_memory_is_given_back_after_a_quarter_of_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(kept, "give_back", lambda: given.append(1))
    values = ActivationCache(8 * SMALL.nbytes)
    for name in range(8 + 2):
        values.put(name, SMALL)
    assert given == []
    values.put("third", SMALL)  # three of eight have gone
    assert given == [1]


def test_holes_between_what_stays_go_back_to_the_system() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("the C library cannot give memory back")
    blocks = [np.ones(16_000, np.float32) for _ in range(3_000)]  # 64 KB each, 190 MB
    stay = blocks[::2]
    del blocks
    before = resident()
    give_back()
    assert before - resident() > 50 * 2**20
    assert len(stay) == 1_500
