"""Images that belong together: frames of one recording, crops of one photograph, near duplicates.

They stay in one split, else validation would ask what training has shown. Candidates are frames of
one video, neighbours by name up to a trailing number (``rec0_frame007``, ``photo3`` and
``photo3_crop1``), and images that one camera took within seconds. Two candidates belong together if
they look alike: in place, by the correlation of their small copies, or moved, by that of the part
that both show.

Of 135,000 pairs of 521 photographs, no two of one scene, in place the most alike reach 0.83, one in
1,000 reaches 0.64; of 18,600 moved pairs none reaches 0.86. Crops of 60% to 80% of a photograph
that share two thirds are recognised in nine of ten. Where unrelated images of a dataset are more
alike than photographs (X-rays, products on white), the limits rise with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tlcore.datasets.dataset import Sample
from tlcore.datasets.folder_names import is_split_name
from tlcore.datasets.image_facts import GREY_SIDE, FactsTable, ImageFacts
from tlcore.datasets.near_duplicates import Floats, join_pairs
from tlcore.datasets.video import recording_of
from tlcore.text import natural_key

GROUPING = 1  # version of what is found here
IN_PLACE = 0.85  # correlation of two small copies that are one scene
IN_A_ROW, ROW = 0.5, 3  # correlation that is enough where so many pairs in a row have it
MOVED = 0.9  # correlation of the part that two images share
COARSE = 0.75  # the same with half the cells, below which no more is computed
SHARED = 0.5  # of the smaller image, at least, that a moved one must show
FEWEST_CELLS = 16  # of 32 a side that the smaller image must have at the scale of the larger
MEAN = 40.0  # levels between the mean colours of two images that are compared moved, at most
SECONDS = 3.0  # between two images of one camera
_TEXTURE = 8.0  # standard deviation of grey levels below which nothing can be recognised
_DRAWN = 2000  # pairs by which is measured how much alike unrelated images are
_MANY = 5_000  # neighbours from which on those at two steps are not compared moved
_CHUNK = 500  # pairs compared at a time, so that memory stays bounded

Pair = tuple[int, int]


@dataclass(frozen=True)
class _Name:
    path: str  # without ending, and without the folders of splits
    sequence: str  # the same without a trailing number

    @classmethod
    def of(cls, file: str) -> _Name:
        *folders, name = file.split("/")
        folders = [folder for folder in folders if not is_split_name(folder)]
        path = "/".join([*folders, name.rpartition(".")[0] or name])
        return cls(path, re.sub("[0-9]+$", "", path))

    def leads_to(self, other: _Name) -> bool:
        """Whether names are neighbours of one sequence, or the other is a part of this one."""
        if self.sequence == other.sequence:
            return self.path != self.sequence != other.path
        rest = other.path.removeprefix(self.path)
        return rest != other.path and not rest[0].isdecimal()


def find_groups(samples: Sequence[Sample], table: FactsTable) -> Mapping[str, str]:
    """Return the group of each content that has one: sha256 → sha256 of the first of its group."""
    measured = [
        (sample.file, facts)
        for sample in samples
        if isinstance(facts := table.by_sha256.get(sample.sha256), ImageFacts)
    ]
    measured.sort(key=lambda shot: natural_key(_Name.of(shot[0]).path))
    hashes = [facts.sha256 for _, facts in measured]
    first = {sha256: at for at, sha256 in reversed([*enumerate(hashes)])}
    pairs = [(at, first[sha256]) for at, sha256 in enumerate(hashes)]  # the same file twice
    pairs += [
        (first[sha256], first[group])
        for sha256, group in table.groups.items()
        if sha256 in first and group in first
    ]
    copies = [table.groups.get(sha256, sha256) for sha256 in hashes]
    pairs += _find_related([file for file, _ in measured], [facts for _, facts in measured], copies)
    joined = join_pairs(len(measured), pairs)
    return {hashes[at]: hashes[group[0]] for group in joined for at in group}


def has_sequences(files: Iterable[str]) -> bool:
    """Whether file names suggest recordings, so that it is worth looking at the images."""
    names = sorted((_Name.of(file) for file in files), key=lambda name: natural_key(name.path))
    return any(name.leads_to(other) for name, other in pairwise(names))


def _find_related(
    files: Sequence[str], facts: Sequence[ImageFacts], copies: Sequence[str]
) -> Iterator[Pair]:
    """Yield pairs of images that belong together.

    Args:
        files: sorted by name.
        facts: of each.
        copies: of each; equal ones are near duplicates.
    """
    videos = [recording_of(file) for file in files]
    yield from ((i, i + 1) for i in range(len(files) - 1) if videos[i] == videos[i + 1] != "")
    names = [_Name.of(file) for file in files]
    near = [(i, i + 1) for i in range(len(names) - 1) if names[i].leads_to(names[i + 1])]
    far = [(i, i + 2) for i in range(len(names) - 2) if names[i].leads_to(names[i + 2])]
    candidates = [*near, *far, *_taken_together(facts)]
    if not candidates:
        return
    related = set(candidates)
    looks = _Looks(facts)
    unrelated = [
        (int(i), int(j))
        for i, j in np.random.default_rng(0).integers(0, len(names), (_DRAWN, 2))
        if names[i].sequence != names[j].sequence
        and not (names[i].leads_to(names[j]) or names[j].leads_to(names[i]))
        and {(i, j), (j, i)}.isdisjoint(related)
        and copies[i] != copies[j]
    ]
    usual = float(np.quantile(looks.in_place(unrelated), 0.999)) if unrelated else IN_A_ROW
    alike = looks.in_place(candidates)
    strong = alike >= max(IN_PLACE, (1 + usual) / 2)
    strong[: len(near)] |= _in_a_row(near, alike[: len(near)] >= max(IN_A_ROW, usual))
    yield from (pair for pair, is_strong in zip(candidates, strong, strict=True) if is_strong)
    asked = len(near) if len(near) > _MANY else len(candidates)
    rest = [candidates[at] for at in np.flatnonzero(~strong[:asked])]
    if moved := looks.comparable_moved(rest):
        some = looks.comparable_moved(unrelated)[: _DRAWN // 10]
        limit = max(MOVED, (1 + float(looks.moved(some).max(initial=0))) / 2)
        found = looks.moved(moved) >= limit
        yield from (pair for pair, is_found in zip(moved, found, strict=True) if is_found)


def _in_a_row(pairs: Sequence[Pair], alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep those pairs that are alike where at least ROW in a row are."""
    kept = np.zeros(len(pairs), bool)
    row: list[int] = []
    for at, pair in enumerate(pairs):
        if not (alike[at] and row and pairs[row[-1]][1] == pair[0]):
            row = []
        if alike[at]:
            row.append(at)
        if len(row) >= ROW:
            kept[row] = True
    return kept


def _taken_together(facts: Sequence[ImageFacts]) -> list[Pair]:
    """Return images that follow each other on one camera within seconds."""
    times: list[tuple[str, datetime, int]] = []
    for at, each in enumerate(facts):
        try:
            taken = datetime.strptime(each.header.taken, "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
        times.append((each.header.camera, taken, at))
    times.sort()
    return [
        (i, j)
        for (camera, before, i), (other, after, j) in pairwise(times)
        if camera == other and (after - before).total_seconds() <= SECONDS
    ]


class _Looks:
    """How much alike images are, by their facts."""

    def __init__(self, facts: Sequence[ImageFacts]) -> None:
        self._facts = facts
        copies = np.stack([each.pixels for each in facts]).astype(np.float32)
        colours = copies.reshape(len(facts), -1, 3)
        self._means = colours.mean(axis=1)
        levels = (colours - self._means[:, None]).reshape(len(facts), -1)
        weakest = _TEXTURE * np.sqrt(levels.shape[1])
        self._levels = levels / np.maximum(np.linalg.norm(levels, axis=1, keepdims=True), weakest)

    def in_place(self, pairs: Sequence[Pair]) -> Floats:
        """Return the correlation of the small copies of each pair, −1…1."""
        left, right = np.array(pairs, np.int64).reshape(-1, 2).T
        return np.einsum("ij,ij->i", self._levels[left], self._levels[right])

    def comparable_moved(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Return the pairs that may be one scene, by colour and size."""
        return [
            (i, j)
            for i, j in pairs
            if np.abs(self._means[i] - self._means[j]).max() <= MEAN
            and min(*self._cells(i, j), *self._cells(j, i)) >= FEWEST_CELLS
        ]

    def moved(self, pairs: list[Pair]) -> Floats:
        """Return the greatest correlation of the part that both images of each pair show; −1 for
        those that half as many cells exclude."""
        scores = self._correlate(pairs, GREY_SIDE // 2)
        likely = scores >= COARSE
        scores[~likely] = -1
        scores[likely] = self._correlate([pairs[at] for at in np.flatnonzero(likely)], GREY_SIDE)
        return scores

    def _correlate(self, pairs: list[Pair], side: int) -> Floats:
        scores: list[Floats] = [np.empty(0)]
        for at in range(0, len(pairs), _CHUNK):
            some = pairs[at : at + _CHUNK]
            left = [self._place(i, self._cells(i, j), side) for i, j in some]
            right = [self._place(j, self._cells(j, i), side) for i, j in some]
            scores.append(_correlate(np.stack(left), np.stack(right)))
        return np.concatenate(scores)

    def _cells(self, i: int, j: int) -> Pair:
        """Return columns and rows of an image where the larger of the two has 32."""
        one, other = self._facts[i], self._facts[j]
        return (
            round(GREY_SIDE * one.width / max(one.width, other.width)),
            round(GREY_SIDE * one.height / max(one.height, other.height)),
        )

    def _place(self, at: int, cells: Pair, side: int) -> Floats:
        """Return grey levels at their size in the corner of (side, side), the rest NaN."""
        columns, rows = (each * side // GREY_SIDE for each in cells)
        grey = Image.fromarray(self._facts[at].greys).resize((columns, rows), Image.Resampling.BOX)
        placed = np.full((side, side), np.nan, np.float32)
        placed[:rows, :columns] = np.asarray(grey)
        return placed


def _correlate(left: Floats, right: Floats) -> Floats:
    """Return the greatest masked normalized cross-correlation of each pair, over all shifts.

    D. Padfield, Masked object registration in the Fourier domain, 2012.

    Args:
        left, right: (pairs, side, side), NaN where there is no image.
    """
    shape = (2 * left.shape[1], 2 * left.shape[2])

    def spectra(grey: Floats) -> list[NDArray[np.complexfloating]]:
        mask = (~np.isnan(grey)).astype(np.float32)
        levels = np.nan_to_num(grey)
        return [np.fft.rfft2(each, shape) for each in (mask, levels, levels * levels)]

    def sums(one: NDArray[np.complexfloating], other: NDArray[np.complexfloating]) -> Floats:
        return np.fft.irfft2(one * np.conj(other), shape)

    (mask_l, left_1, left_2), (mask_r, right_1, right_2) = spectra(left), spectra(right)
    number = np.maximum(sums(mask_l, mask_r), 0.5)
    sum_l, sum_r = sums(left_1, mask_r), sums(mask_l, right_1)
    spread_l = sums(left_2, mask_r) - sum_l * sum_l / number
    spread_r = sums(mask_l, right_2) - sum_r * sum_r / number
    together = sums(left_1, right_1) - sum_l * sum_r / number
    smaller = np.minimum((~np.isnan(left)).sum(axis=(1, 2)), (~np.isnan(right)).sum(axis=(1, 2)))
    is_enough = (number >= SHARED * smaller[:, None, None]) & (
        np.minimum(spread_l, spread_r) >= _TEXTURE**2 * number
    )
    scores = together / np.sqrt(np.maximum(spread_l * spread_r, 1.0))
    best: Floats = np.where(is_enough, scores, -1.0).max(axis=(1, 2))
    return best
