"""What the inference process is asked about feature maps, against plain Keras and NumPy."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.images import write_patches
from tests.training.test_train import REAL, run
from tlcore.activations.render import TILE
from tlcore.activations.top_images import find_top_images
from tlcore.activations.values import ActivationRequest, DisplayOptions, Layout, MapPair, Tiles
from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.image_io import content_id
from tlcore.errors import BadImage, UnknownName
from tlcore.inference import activation_tasks as activations
from tlcore.inference.tasks import load_model
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.status import FINISHED

BEFORE = ModelRef("MobileNet-0.25", 64, "crop", top=False)
PAGE = DisplayOptions(Layout(2, 4))


@pytest.fixture(scope="module")
def here(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    """A home with real weights, and a copy of an image."""
    home = tmp_path_factory.mktemp("activations")
    photo = home / "photo.JPEG"
    shutil.copyfile(sorted((shared / "photos").glob("*.JPEG"))[0], photo)
    return Settings(home=home / "home", keras_home=shared / "keras"), photo


@pytest.fixture(scope="module")
def trained(here: tuple[Settings, Path]) -> ModelRef:
    """A real tiny run whose last block has learned."""
    settings, photo = here
    data = write_patches(photo.parent / "set", classes=2, each=4)
    recipe = RunConfig(
        str(data), epochs=1, fine_tune_epochs=1, learning_rate=0.01, unfreeze_from="conv_dw_13",
        **REAL,
    )  # fmt: skip
    state, folder = run(settings, recipe)
    assert state == FINISHED
    return ModelRef(run=folder.name)


def look(photo: Path, ref: ModelRef) -> ActivationRequest:
    return ActivationRequest(photo, content_id(photo.read_bytes()), ref)


@pytest.fixture(scope="module")
def expected(here: tuple[Settings, Path]) -> dict[str, np.ndarray]:
    """Every spatial layer by plain Keras, the image cut by Pillow: 0.875 of its short side."""
    settings, photo = here
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    half, middle = 0.875 * min(image.size) / 2, (image.width / 2, image.height / 2)
    box = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    small = np.asarray(image.resize((64, 64), Image.Resampling.HAMMING, box=box), np.float32)
    model = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    model.load_weights(settings.keras_home / "models" / "mobilenet_2_5_128_tf_no_top.h5")
    outputs = {layer.name: layer.output for layer in model.layers}
    maps = keras.Model(model.input, list(outputs.values()))((small / 127.5 - 1)[None])
    return {name: np.asarray(value[0]) for name, value in zip(outputs, maps, strict=True)}


def test_maps_of_a_photograph_are_those_of_plain_keras(
    here: tuple[Settings, Path], expected: dict[str, np.ndarray]
) -> None:
    """Geometry, preprocessing, walk and store in one: asked, asked again, and not to be kept."""
    settings, photo = here
    asked = [look(photo, BEFORE), look(photo, BEFORE), ActivationRequest(photo, "", BEFORE)]
    every = 1
    for this in asked:
        for name in list(expected)[1::every]:
            maps = activations.compute_maps(this, name, settings)
            np.testing.assert_allclose(maps, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
        every = 9  # what is not kept is computed from the start each time
    assert activations.cache_usage(settings)[0] > 0


def test_frozen_layers_differ_by_exactly_nothing_and_learned_ones_do(
    here: tuple[Settings, Path], trained: ModelRef, expected: dict[str, np.ndarray]
) -> None:
    settings, photo = here
    before, after = look(photo, BEFORE), look(photo, trained)

    def pair(layer: str) -> MapPair:
        return activations.draw_comparison(before, after, layer, PAGE, settings)

    for layer in ("conv1", "conv_pw_6", "conv_pw_12_relu"):
        found = pair(layer)
        assert (found.frozen, found.largest, found.not_finite) == (True, 0.0, 0.0)
        assert found.left.png == found.right.png
        assert set(levels(found.difference).ravel()) == {128}  # 0, in the middle
    found = pair("conv_dw_13")
    learned = activations.compute_maps(after, "conv_dw_13", settings)
    difference = learned - expected["conv_dw_13"]
    assert not found.frozen
    assert found.largest == pytest.approx(np.abs(difference).max(), abs=1e-5)
    assert found.largest > 1e-3
    assert (found.channels, found.pages) == (256, 32)
    np.testing.assert_allclose(
        found.difference.highs, difference.max(axis=(0, 1))[:8], rtol=0, atol=1e-5
    )
    assert (found.left.black, found.left.white) == (found.right.black, found.right.white)
    np.testing.assert_allclose(
        found.left.white,
        np.maximum(expected["conv_dw_13"], learned).max(axis=(0, 1))[:8],
        rtol=0,
        atol=1e-5,
    )


def test_two_images_come_in_the_order_of_the_first(here: tuple[Settings, Path]) -> None:
    settings, photo = here
    other = photo.parent / "other.png"
    Image.new("RGB", (80, 80), (200, 30, 30)).save(other)
    view = DisplayOptions(Layout(2, 4), order="max")
    pair = activations.draw_comparison(
        look(photo, BEFORE), look(other, BEFORE), "conv_pw_3", view, settings
    )
    alone = activations.draw_maps(look(photo, BEFORE), "conv_pw_3", view, settings)
    assert pair.left.channels == pair.right.channels == alone.tiles.channels
    assert not pair.frozen


def levels(tiles: Tiles) -> np.ndarray:
    """The palette's numbers of the tiles that are drawn."""
    return np.asarray(Image.open(io.BytesIO(tiles.png)))


def test_a_layer_in_numbers_is_numpys(
    here: tuple[Settings, Path], expected: dict[str, np.ndarray]
) -> None:
    settings, photo = here
    rows = activations.measure_layers(look(photo, BEFORE), settings)
    spatial = {name: maps for name, maps in expected.items() if maps.ndim == 3}
    assert [row.name for row in rows][1:] == list(spatial)[1:]  # Keras counts its inputs up
    for row, maps in zip(rows, spatial.values(), strict=True):
        exactly = maps.astype(np.float64)
        found = (row.zeros, row.dead, row.mean, row.spread)
        dead = (maps == 0).all(axis=(0, 1)).mean()
        wanted = ((maps == 0).mean(), dead, exactly.mean(), exactly.std())
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5, err_msg=row.name)
    assert any(row.zeros > 0.2 for row in rows)
    assert any(0 < row.dead < 1 for row in rows)


def test_what_excites_a_channel_most_has_its_highest_values(here: tuple[Settings, Path]) -> None:
    settings, photo = here
    folder = write_patches(photo.parent / "many", classes=3, each=6)
    files = sorted(folder.rglob("*.png"))
    samples = [Sample(f.name, f, content_id(f.read_bytes()), f.parent.name, None) for f in files]
    dataset = Dataset("many", tuple(samples))
    (folder / "broken.png").write_text("no image")
    layer = "conv_pw_5_relu"
    found = find_top_images(dataset, BEFORE, layer, settings)
    while not found.complete:
        found.compute_next(lambda paths: activations.measure_images(paths, BEFORE, layer, settings))
    maps = {
        sample.sha256: activations.compute_maps(look(sample.path, BEFORE), layer, settings)
        for sample in found.samples
    }
    for channel in (0, 7, 63):
        rows = {name: each[:, :, channel] for name, each in maps.items()}
        wanted = sorted(((row.max(), row.mean()) for row in rows.values()), reverse=True)[:9]
        best = found.rank(channel)
        values = [(each.highest, each.mean) for each in best.images]
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-4)
        for each in best.images:
            assert each.mean == pytest.approx(float(rows[each.sample.sha256].mean()), abs=1e-4)
        assert best.tied == sum(row.max() == wanted[0][0] for row in rows.values())
    rows, bad = activations.measure_images([folder / "broken.png"], BEFORE, layer, settings)
    assert np.isnan(rows).all()
    assert bad == ("broken.png",)
    with pytest.raises(UnknownName, match="Received 'conv99'"):
        activations.measure_images([photo], BEFORE, "conv99", settings)


def test_what_is_taken_away_is_what_is_shown(
    here: tuple[Settings, Path], expected: dict[str, np.ndarray]
) -> None:
    settings, photo = here
    this, layer = look(photo, BEFORE), "conv_pw_4_relu"
    with np.load(io.BytesIO(activations.export_maps(this, layer, settings))) as file:
        np.testing.assert_allclose(file["maps"], expected[layer], rtol=1e-5, atol=1e-5)
        assert file["maps"].dtype == np.float32
    png = activations.render_png(this, layer, DisplayOptions(Layout(1, 2), page=1), settings)
    kept = np.asarray(Image.open(io.BytesIO(png)))
    maps = expected[layer][:, :, 2]  # the first of the second page
    zoom = TILE // maps.shape[1]
    drawn = kept[: maps.shape[0] * zoom : zoom, : maps.shape[1] * zoom : zoom].astype(int)
    wanted = (maps - maps.min()) / (maps.max() - maps.min()) * 255
    assert np.abs(drawn - wanted).max() <= 0.51


def test_a_image_that_was_exchanged_is_said(here: tuple[Settings, Path]) -> None:
    settings, photo = here
    other = photo.parent / "exchanged.png"
    Image.new("RGB", (80, 80)).save(other)
    this = ActivationRequest(other, content_id(photo.read_bytes()) + "0", BEFORE)
    for ask in (
        lambda: activations.measure_layers(this, settings),
        lambda: activations.compute_maps(this, "conv1", settings),
    ):
        with pytest.raises(BadImage, match="is no longer the image"):
            ask()


def test_maps_that_run_over_are_drawn_counted_and_compared(here: tuple[Settings, Path]) -> None:
    """Weights that a training has sent to infinity: no question may end in a traceback."""
    settings, photo = here
    wild = ModelRef("MobileNet-0.25", 32, "squash", random=True, top=False)
    layer = load_model(wild, settings).model.get_layer("conv_pw_2_bn")
    gamma, *others = layer.get_weights()
    gamma[:4] = (np.nan, np.inf, 3e38, -3e38)
    layer.set_weights([gamma, *others])
    this = look(photo, wild)
    for scale in ("channel", "layer"):
        page = activations.draw_maps(
            this, "conv_pw_2_bn", DisplayOptions(PAGE.layout, scale=scale), settings
        )
        assert page.tiles.not_finite[0] == 1
        assert page.tiles.not_finite[4:] == (0,) * 4
        assert np.isfinite((page.tiles.lows, page.tiles.highs)).all()
    for channel in range(5):
        found = activations.inspect_channel(this, "conv_pw_2_bn", channel, settings)
        assert np.isfinite((found.low, found.high, found.mean)).all()
    assert activations.inspect_channel(this, "conv_pw_2_bn", 0, settings).not_finite == 1
    pair = activations.draw_comparison(this, this, "conv_pw_2_bn", PAGE, settings)
    assert 0 < pair.not_finite < 1
    assert pair.largest == 0
    assert len(activations.measure_layers(this, settings)) > 10
    assert activations.render_png(this, "conv_pw_3", PAGE, settings)
