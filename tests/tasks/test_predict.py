"""Predicting images of any size: masks in VOC's palette, and the same predictions as eval."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.config import EvalOptions
from vocctl.data.images import read_image, read_mask
from vocctl.errors import ConfigError, DataError
from vocctl.labels import CLASSES, FLAT_PALETTE, PALETTE
from vocctl.runs.records import read_run
from vocctl.tasks import evaluate_seg
from vocctl.tasks.predict import predict


def images(data: Path) -> Path:
    return data / "VOCdevkit" / "VOC2009" / "JPEGImages"


def test_mask_equals_the_label_map_of_eval(trained_once, tmp_path: Path) -> None:
    evaluation = read_run(str(trained_once.seg)).evaluation
    for image_id in list(evaluation.image_iou)[:3]:
        (prediction,) = predict([images(trained_once.data) / f"{image_id}.jpg"], str(trained_once.seg), out=tmp_path)
        with Image.open(prediction.mask) as image:
            assert (image.mode, image.size, image.getpalette()) == ("P", (32, 32), FLAT_PALETTE)
        assert np.array_equal(read_mask(prediction.mask), evaluation.label_map(image_id, (32, 32)))


def test_fractions_and_overlay_are_those_of_the_mask(trained_once, tmp_path: Path) -> None:
    path = images(trained_once.data) / "tiny_013.jpg"
    (prediction,) = predict([path], str(trained_once.seg), out=tmp_path)
    labels = read_mask(prediction.mask)
    assert sum(prediction.fractions.values()) == pytest.approx(1)
    assert prediction.fractions.get("bicycle", 0) == pytest.approx((labels == 2).mean())
    overlay, image = read_image(prediction.overlay).astype(int), read_image(path).astype(int)
    half = (image + np.array(PALETTE)[labels]) // 2
    expected = np.where((labels > 0)[..., None], half, image)
    assert np.abs(overlay - expected).mean() < 12  # JPEG changes pixels


def test_labels_are_those_of_eval(trained_once) -> None:
    predictions = read_run(str(trained_once.cls)).evaluation.predictions
    results = predict([images(trained_once.data)], str(trained_once.cls))
    by_name = {result.image.stem: result for result in results}
    assert len(results) == 20
    for image_id, probs in zip(predictions.ids, predictions.probs, strict=True):
        assert [by_name[image_id].probabilities[name] for name in CLASSES] == pytest.approx(probs.tolist(), abs=1e-5)
        assert list(by_name[image_id].probabilities) == sorted(
            CLASSES, key=lambda n: -by_name[image_id].probabilities[n]
        )
    assert results[0].as_json()["probabilities"] == results[0].probabilities
    assert all(result.labels for result in results)


@pytest.mark.parametrize("side", [(1, 1), (3, 200), (333, 45)])
def test_images_of_any_size(trained_once, tmp_path: Path, side: tuple[int, int]) -> None:
    Image.new("RGB", side, "red").save(tmp_path / "image.png")
    (prediction,) = predict([tmp_path / "image.png"], str(trained_once.seg), out=tmp_path / "out")
    with Image.open(prediction.mask) as mask, Image.open(prediction.overlay) as overlay:
        assert mask.size == overlay.size == prediction.size == side


def test_corrupt_file_in_a_folder_is_reported_and_the_rest_predicted(trained_once, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(folder / "b.png")
    Image.new("RGB", (20, 10)).save(folder / "b.webp")
    (folder.parent / "a.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image either")
    results = predict([tmp_path / "in"], str(trained_once.seg), out=tmp_path / "out")
    assert [result.image.name for result in results] == ["a.jpg", "b.png", "b.webp"]
    assert "is not a readable image" in results[0].error
    assert set(results[0].as_json()) == {"image", "error"}
    assert [str(result.mask.relative_to(tmp_path / "out")) for result in results[1:]] == ["deep/b.png", "deep/b-2.png"]
    assert not list((tmp_path / "out").rglob("*.part"))


def test_skipped_files_are_logged(trained_once, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.heic", "b.HEIC", "c.png", ".hidden", "notes"):
        (tmp_path / name).write_bytes(b"")
    Image.new("RGB", (20, 10)).save(tmp_path / "c.png")
    with caplog.at_level(logging.WARNING):
        (prediction,) = predict([tmp_path], str(trained_once.cls))
    assert prediction.image.name == "c.png"
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: 3 files skipped: .heic, a file without a suffix are not read"
    ]
    (tmp_path / "c.png").unlink()
    with pytest.raises(
        DataError, match=r"no image that can be read: 3 files skipped: \.heic, .*save them as JPEG or PNG"
    ):
        predict([tmp_path], str(trained_once.cls))


@pytest.mark.parametrize("kind", ["16-bit", "transparent", "orientation 3", "orientation 6"])
def test_mask_equals_that_of_eval_for_every_kind_of_image(trained, tmp_path: Path, kind: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(trained.data, data)
    generator, exif = np.random.default_rng(0), Image.Exif()
    image = Image.fromarray(generator.integers(0, 256, (32, 32, 4), np.uint8))
    if kind == "16-bit":
        image = Image.fromarray(generator.integers(0, 65536, (32, 32), np.uint16))
    elif kind != "transparent":
        exif[0x0112] = int(kind[-1])
    (images(data) / "tiny_013.jpg").unlink()
    path = images(data) / "tiny_013.png"
    image.save(path, exif=exif)
    evaluate_seg.evaluate(str(trained.seg), EvalOptions(data=data, split="val"))
    (prediction,) = predict([path], str(trained.seg), out=tmp_path / "out")
    label_map = read_run(str(trained.seg)).evaluation.label_map("tiny_013", (32, 32))
    assert np.array_equal(read_mask(prediction.mask), label_map)


def test_input_images_are_not_overwritten(trained_once, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["a.png", "b.jpg", "b-overlay.jpg", "C.PNG"]
    for name in names:
        Image.new("RGB", (8, 8), "red").save(name)
    Path("link").symlink_to(tmp_path)
    before = {name: Path(name).read_bytes() for name in names}
    results = predict([Path(name) for name in names], str(trained_once.seg), out=Path("link"))
    assert {name: Path(name).read_bytes() for name in names} == before
    masks = [result.mask.name for result in results]
    assert masks == ["a-2.png", "b-2.png", "b-overlay.png", "C-2.png"]  # c.png is C.PNG on some disks


def test_wrong_inputs_are_errors(trained, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither an image nor a folder"):
        predict([tmp_path / "nothing.jpg"], str(trained.seg))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="contains no image that can be read"):
        predict([tmp_path / "empty"], str(trained.seg))
    with pytest.raises(ConfigError, match="--checkpoint is one of best, final"):
        predict([images(trained.data)], str(trained.seg), checkpoint="last")
    with pytest.raises(DataError, match="no run nothing"):
        predict([images(trained.data)], "nothing")


def test_earlier_results_are_not_predicted(trained_once, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """predictions/ is by default in the folder where one works, with the images."""
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "predictions.json").write_text(
        '{"a.png": "a cat", "": ", tta ", "b": 3}'
    )  # another program's
    Image.new("RGB", (20, 10)).save(tmp_path / "other" / "a.png")
    for _ in range(2):
        results = predict([tmp_path, tmp_path / "a.jpg"], str(trained_once.seg), out=tmp_path / "predictions")
        assert [result.image for result in results] == [tmp_path / "a.jpg", tmp_path / "other" / "a.png"]
    assert "5 files skipped: results of earlier predictions" in caplog.text
    with pytest.raises(DataError, match=r"contains no image that can be read: .*earlier predictions"):
        predict([tmp_path / "predictions"], str(trained_once.seg), out=tmp_path / "predictions")


def test_masks_of_other_images_and_runs_are_kept(trained_once, tmp_path: Path) -> None:
    """The same prediction again replaces its own mask."""
    first, other = tmp_path / "first", tmp_path / "other"
    for folder, image_id in ((first, "tiny_013"), (other, "tiny_014")):
        folder.mkdir()
        shutil.copy(images(trained_once.data) / f"{image_id}.jpg", folder / "cat.jpg")

    def masks(folder: Path, **options: str) -> list[str]:
        run = str(trained_once.seg)
        return [result.mask.name for result in predict([folder / "cat.jpg"], run, out=tmp_path / "out", **options)]

    assert masks(first) == ["cat.png"]
    assert masks(other) == ["cat-2.png"]
    assert masks(first, tta="flip") == ["cat-3.png"]
    assert [masks(first), masks(other), masks(first, tta="flip")] == [["cat.png"], ["cat-2.png"], ["cat-3.png"]]
    (tmp_path / "out" / "predictions.json").unlink()
    assert masks(first) == ["cat-4.png"]  # nothing says what the others were predicted from
