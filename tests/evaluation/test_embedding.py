"""The map of features, beside scikit-learn's PCA."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tlcore.evaluation.embedding import project_to_plane


@pytest.mark.parametrize("shape", [(60, 8), (12, 40), (3, 2)])
def test_points_and_shares_equal_scikit_learns(shape: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    values = (draw.normal(0, 1, shape) * np.arange(1, shape[1] + 1) + 3).astype(np.float32)
    points, explained = project_to_plane(values)
    oracle = PCA(2).fit(values)
    theirs = oracle.transform(values)
    for axis in range(2):
        same = np.sign((points[:, axis] * theirs[:, axis]).sum())
        np.testing.assert_allclose(points[:, axis], same * theirs[:, axis], rtol=1e-4, atol=1e-3)
    assert explained == pytest.approx(oracle.explained_variance_ratio_.tolist(), abs=1e-5)
    np.testing.assert_array_equal(project_to_plane(values)[0], points)


def test_images_that_are_all_the_same_have_a_map_too() -> None:
    points, explained = project_to_plane(np.ones((5, 4), np.float32))
    assert not points.any()
    assert explained == (0.0, 0.0)


def test_the_sign_is_fixed() -> None:
    values = np.random.default_rng(1).normal(0, 1, (30, 5)).astype(np.float32)
    shuffled = np.random.default_rng(2).permutation(30)
    np.testing.assert_allclose(
        project_to_plane(values)[0][shuffled], project_to_plane(values[shuffled])[0], atol=1e-5
    )
