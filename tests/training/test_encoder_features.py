"""Features of a segmenter's encoder: what is stored, and when it is computed again."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vocctl.config import DataConfig, ModelConfig
from vocctl.data.cache import CachedSplit
from vocctl.data.cache_build import cached_split
from vocctl.data.source import open_dataset
from vocctl.devices import DeviceSetup
from vocctl.models.segmenter import Segmenter
from vocctl.training import encoder_features as module
from vocctl.training.encoder_features import encoder_features, num_images_in

SETUP = DeviceSetup(torch.device("cpu"), "fp32")


@pytest.fixture
def split(tiny_set: Path) -> CachedSplit:
    return cached_split(open_dataset(tiny_set), "val", 32)


def segmenter(seed: int = 0, decoder: str = "linear") -> Segmenter:
    torch.manual_seed(seed)
    return Segmenter(ModelConfig(encoder="scratch", decoder=decoder, widths=(8, 8, 8)))


def computed(model: Segmenter, split: CachedSplit, folder: Path, setup: DeviceSetup = SETUP, **options: bool) -> bool:
    """Whether the features had to be computed."""
    reports: list[int] = []
    data = DataConfig(cache_dir=str(folder))
    encoder_features(model, split, setup, data, on_image=lambda done, total: reports.append(done), **options)
    return bool(reports)


@pytest.mark.parametrize("mirrored", [False, True])
def test_features_are_the_encoders_maps(split, tmp_path, mirrored):
    model = segmenter().train()  # features are computed in evaluation mode nevertheless
    features = encoder_features(model, split, SETUP, DataConfig(cache_dir=str(tmp_path)), mirrored=mirrored)
    model.eval()
    for index in range(len(split)):
        pixels = torch.from_numpy(split.image(index).copy()).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            expected = model.feature_maps(pixels.flip(-1) if mirrored else pixels)
        assert [tuple(level.shape) for level in features.maps(index)] == [
            (64, 8, 8), (128, 4, 4), (256, 2, 2), (256, 1, 1)
        ]  # fmt: skip
        for level, expected_level in zip(features.maps(index), expected, strict=True):
            assert torch.allclose(level, expected_level[0], rtol=2e-3, atol=1e-4)


def test_they_are_computed_once_per_encoder(split, tmp_path):
    model = segmenter()
    assert computed(model, split, tmp_path)
    assert not computed(model, split, tmp_path)
    assert not computed(segmenter(), split, tmp_path)  # another object with the same weights
    assert computed(segmenter(seed=1), split, tmp_path)
    with torch.no_grad():
        next(model.encoder.parameters()).mul_(1.001)
    assert computed(model, split, tmp_path)


def test_the_decoder_does_not_matter_and_all_else_does(split, tmp_path):
    model = segmenter()
    computed(model, split, tmp_path)
    with torch.no_grad():
        model.backbone.decoder.layers[0].weight.zero_()
    assert not computed(model, split, tmp_path)
    assert computed(model, split, tmp_path, mirrored=True)
    assert computed(model, split, tmp_path, replace(SETUP, precision="bf16"))
    assert computed(model, split.take([1, 0]), tmp_path)
    model.normalize.mean.add_(0.1)
    assert computed(model, split, tmp_path)


def test_bf16_features_are_close(split, tmp_path):
    model, data = segmenter(), DataConfig(cache_dir=str(tmp_path))
    exact = encoder_features(model, split, SETUP, data).maps(0)
    rounded = encoder_features(model, split, replace(SETUP, precision="bf16"), data).maps(0)
    for level, rounded_level in zip(exact, rounded, strict=True):
        assert (level - rounded_level).abs().max() <= 0.05 * level.abs().max()


def test_a_run_with_minutes_uses_as_many_images_as_fit_into_its_share(split, tmp_path, monkeypatch):
    """A batch of 16 takes .75 s, so that 60 s * .3 are enough for 384 images."""
    model, data = segmenter(), DataConfig(cache_dir=str(tmp_path))
    many = split.take([0] * 1000)
    assert num_images_in(0, model, many, SETUP, data) == 1000
    for seconds, expected in ((0.75, 315), (0.25, 1000), (60.0, 16)):  # 1000, 750, 562, 421, 315
        clock = iter([0.0, 5.0, 10.0, 10.0 + seconds])
        monkeypatch.setattr(module.time, "perf_counter", lambda clock=clock: next(clock))
        assert num_images_in(1, model, many, SETUP, data) == expected


def test_a_run_with_minutes_uses_all_features_that_are_cached(split, tmp_path, monkeypatch):
    model, data = segmenter(), DataConfig(cache_dir=str(tmp_path))
    encoder_features(model, split, SETUP, data)
    monkeypatch.setattr(module, "_seconds_per_pixel", lambda *args: pytest.fail("measured"))
    assert num_images_in(1e-9, model, split, SETUP, data) == len(split)
