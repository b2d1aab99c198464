"""What the inference process computes and draws of feature maps, against Keras and NumPy."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.images import write_patches
from tests.training.test_train_run import REAL, run
from tlcore.activations.channel import find_top_images
from tlcore.activations.render import TILE
from tlcore.activations.values import ActivationRequest, DisplayOptions, Layout, MapPair, Tiles
from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import content_id, read_image
from tlcore.errors import BadImage, UnknownName
from tlcore.inference import tasks
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.status import FINISHED
from tlcore.training.transfer_model import load_model

BEFORE = ModelRef("MobileNet-0.25", 64, "crop", top=False)
PAGE = DisplayOptions(Layout(2, 4))
Home = tuple[Settings, Path]


@pytest.fixture(scope="module")
def home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Settings with real weights, and a copy of a photograph."""
    folder = tmp_path_factory.mktemp("activations")
    photo = folder / "photo.JPEG"
    shutil.copyfile(sorted((shared / "photos").glob("*.JPEG"))[0], photo)
    return Settings(home=folder / "home", keras_home=shared / "keras"), photo


@pytest.fixture(scope="module")
def trained(home: Home) -> ModelRef:
    """A real tiny run whose last block was fine-tuned."""
    settings, photo = home
    data = write_patches(photo.parent / "set", classes=2, each=4)
    recipe = RunConfig(
        str(data), epochs=1, fine_tune_epochs=1, learning_rate=0.01, unfreeze_from="conv_dw_13",
        **REAL,
    )  # fmt: skip
    status, folder = run(settings, recipe)
    assert status == FINISHED
    return ModelRef(run=folder.name)


@pytest.fixture(scope="module")
def expected(home: Home) -> dict[str, np.ndarray]:
    """Every spatial layer by plain Keras, the image cut by Pillow: 0.875 of its short side."""
    settings, photo = home
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


def request(photo: Path, ref: ModelRef = BEFORE) -> ActivationRequest:
    return ActivationRequest(photo, content_id(photo.read_bytes()), ref)


def levels(tiles: Tiles) -> np.ndarray:
    """The palette's numbers of the tiles that are drawn."""
    return np.asarray(Image.open(io.BytesIO(tiles.png)))


def test_maps_of_a_photograph_are_those_of_plain_keras(
    home: Home, expected: dict[str, np.ndarray]
) -> None:
    """Geometry, preprocessing, segments and cache in one: computed, cached, and not cached."""
    settings, photo = home
    uncached = ActivationRequest(photo, "", BEFORE)
    for this, every in ((request(photo), 1), (request(photo), 1), (uncached, 9)):
        for name in list(expected)[1::every]:
            maps = tasks.compute_maps(this, name, settings)
            np.testing.assert_allclose(maps, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert tasks.activation_cache(settings.activation_bytes).bytes > 0


def test_frozen_layers_differ_by_exactly_nothing_and_learned_ones_do(
    home: Home, trained: ModelRef, expected: dict[str, np.ndarray]
) -> None:
    settings, photo = home
    before, after = request(photo), request(photo, trained)

    def compare(layer: str) -> MapPair:
        return tasks.draw_comparison(before, after, layer, PAGE, settings)

    for layer in ("conv1", "conv_pw_6", "conv_pw_12_relu"):
        pair = compare(layer)
        assert (pair.frozen, pair.largest, pair.not_finite) == (True, 0.0, 0.0)
        assert pair.left.png == pair.right.png
        assert set(levels(pair.difference).ravel()) == {128}  # 0, in the middle
    pair, plain = compare("conv_dw_13"), expected["conv_dw_13"]
    learned = tasks.compute_maps(after, "conv_dw_13", settings)
    difference = learned - plain
    assert not pair.frozen
    assert pair.largest == pytest.approx(np.abs(difference).max(), abs=1e-5)
    assert pair.largest > 1e-3
    assert (pair.channels, pair.pages) == (256, 32)
    largest, both = difference.max(axis=(0, 1)), np.maximum(plain, learned).max(axis=(0, 1))
    np.testing.assert_allclose(pair.difference.highs, largest[:8], rtol=0, atol=1e-5)
    assert (pair.left.black, pair.left.white) == (pair.right.black, pair.right.white)
    np.testing.assert_allclose(pair.left.white, both[:8], rtol=0, atol=1e-5)


def test_two_images_come_in_the_order_of_the_first(home: Home) -> None:
    settings, photo = home
    other = photo.parent / "other.png"
    Image.new("RGB", (80, 80), (200, 30, 30)).save(other)
    view = DisplayOptions(Layout(2, 4), order="max")
    pair = tasks.draw_comparison(request(photo), request(other), "conv_pw_3", view, settings)
    alone, first = tasks.draw_layer(request(photo), "conv_pw_3", view, settings)
    assert pair.left.channels == pair.right.channels == alone.tiles.channels
    assert first.channel == alone.tiles.channels[0]
    assert not pair.frozen


def test_statistics_of_a_layer_are_numpys(home: Home, expected: dict[str, np.ndarray]) -> None:
    settings, photo = home
    rows = tasks.measure_layers(request(photo), settings)
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


def test_top_images_of_a_channel_have_its_highest_values(home: Home) -> None:
    settings, photo = home
    folder, layer = write_patches(photo.parent / "many", classes=3, each=6), "conv_pw_5_relu"
    files = sorted(folder.rglob("*.png"))
    samples = [Sample(f.name, f, content_id(f.read_bytes()), f.parent.name, None) for f in files]
    top = find_top_images(Dataset("many", tuple(samples)), BEFORE, layer, settings)
    while not top.complete:
        top.compute_next(lambda paths: tasks.measure_images(paths, BEFORE, layer, settings))
    maps = {
        each.sha256: tasks.compute_maps(request(each.path), layer, settings) for each in samples
    }
    for channel in (0, 7, 63):
        rows = {name: each[:, :, channel] for name, each in maps.items()}
        wanted = sorted(((row.max(), row.mean()) for row in rows.values()), reverse=True)[:9]
        ranking = top.rank(channel)
        values = [(each.highest, each.mean) for each in ranking.images]
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-4)
        for each in ranking.images:
            assert each.mean == pytest.approx(float(rows[each.sample.sha256].mean()), abs=1e-4)
        assert ranking.tied == sum(row.max() == wanted[0][0] for row in rows.values())
    (folder / "broken.png").write_text("no image")
    values = tasks.measure_images([folder / "broken.png"], BEFORE, layer, settings)
    assert np.isnan(values).all()
    with pytest.raises(UnknownName, match="Received 'conv99'"):
        tasks.measure_images([photo], BEFORE, "conv99", settings)


def test_what_is_downloaded_is_what_is_shown(home: Home, expected: dict[str, np.ndarray]) -> None:
    settings, photo = home
    this, layer = request(photo), "conv_pw_4_relu"
    with np.load(io.BytesIO(tasks.export_maps(this, layer, settings))) as file:
        np.testing.assert_allclose(file["maps"], expected[layer], rtol=1e-5, atol=1e-5)
        assert file["maps"].dtype == np.float32
        loaded = load_model(this.ref, settings)
        pixels = fit(read_image(photo, settings.limits), loaded.size, loaded.fit)
        np.testing.assert_array_equal(file["input"], pixels)
        of = [str(file[name]) for name in ("layer", "backbone", "size", "fit", "image_sha256")]
        assert of == [layer, loaded.backbone, str(loaded.size), loaded.fit, this.sha256]
        assert str(file["weights"]).startswith(loaded.source)
    png = tasks.render_png(this, layer, DisplayOptions(Layout(1, 2), page=1), settings)
    maps = expected[layer][:, :, 2]  # the first of the second page
    zoom = TILE // maps.shape[1]
    page = np.asarray(Image.open(io.BytesIO(png)))
    drawn = page[: maps.shape[0] * zoom : zoom, : maps.shape[1] * zoom : zoom].astype(int)
    wanted = (maps - maps.min()) / (maps.max() - maps.min()) * 255
    assert np.abs(drawn - wanted).max() <= 0.51


def test_an_image_that_was_exchanged_is_refused(home: Home) -> None:
    settings, photo = home
    other = photo.parent / "exchanged.png"
    Image.new("RGB", (80, 80)).save(other)
    this = ActivationRequest(other, content_id(photo.read_bytes()) + "0", BEFORE)
    for task in (tasks.measure_layers, lambda *_: tasks.compute_maps(this, "conv1", settings)):
        with pytest.raises(BadImage, match="is no longer the image"):
            task(this, settings)


def test_maps_that_overflow_are_drawn_counted_and_compared(home: Home) -> None:
    """Weights that a training has sent to infinity: no task may end in a traceback."""
    settings, photo = home
    wild, name = ModelRef("MobileNet-0.25", 32, "squash", random=True, top=False), "conv_pw_2_bn"
    layer = load_model(wild, settings).model.get_layer(name)
    gamma, *others = layer.get_weights()
    gamma[:4] = (np.nan, np.inf, 3e38, -3e38)
    layer.set_weights([gamma, *others])
    this = request(photo, wild)
    for scale in ("channel", "layer"):
        page, _ = tasks.draw_layer(this, name, DisplayOptions(PAGE.layout, scale=scale), settings)
        assert page.tiles.not_finite[0] == 1
        assert page.tiles.not_finite[4:] == (0,) * 4
        assert np.isfinite((page.tiles.lows, page.tiles.highs)).all()
    details = [tasks.inspect_channel(this, name, number, settings) for number in range(5)]
    assert np.isfinite([(each.low, each.high, each.mean) for each in details]).all()
    assert details[0].not_finite == 1
    pair = tasks.draw_comparison(this, this, name, PAGE, settings)
    assert 0 < pair.not_finite < 1
    assert pair.largest == 0
    assert len(tasks.measure_layers(this, settings)) > 10
    assert tasks.render_png(this, "conv_pw_3", PAGE, settings)
