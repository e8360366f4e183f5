"""Training classifiers end to end on drawn images."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from run_comparison import (
    assert_equal_runs,
    have_equal_weights,
    interrupt_after_epoch,
    interrupt_in_epoch,
    read_metrics,
    reporter_with,
)
from vocctl.config import EvalOptions, TrainClsConfig, given
from vocctl.data.cache_build import cached_split
from vocctl.data.feature_dataset import pooled
from vocctl.data.source import open_dataset
from vocctl.data.splits import open_cls_splits
from vocctl.devices import DeviceSetup
from vocctl.errors import DataError, Interrupted, Terminated
from vocctl.inference.load import load_classifier
from vocctl.inference.predict import predict_label_probs
from vocctl.labels import CLASSES
from vocctl.models.classifier import Classifier
from vocctl.runs.folder import RunFolder
from vocctl.tasks import train_cls
from vocctl.tasks.evaluate_cls import evaluate
from vocctl.tasks.export import export
from vocctl.tasks.train_cls import pos_weight, resume, run
from vocctl.training.encoder_features import encoder_features
from vocctl.training.probe import linear_probe

CAT, CHAIR = CLASSES.index("cat"), CLASSES.index("chair")


def tiny_config(data: Path, **flags: object) -> TrainClsConfig:
    """Eight training images in batches of two: four steps per epoch."""
    small = {"model": "scratch", "size": 32, "size_from": 0, "batch": 2, "epochs": 2, "precision": "fp32"}
    return given(TrainClsConfig(), path=str(data), **(small | flags))


def test_run_learns_and_leaves_its_files(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    config = tiny_config(tiny, batch=4, epochs=30, lr=0.003, encoder_lr=1.0, ema=0.9, eval_every=10)
    result = run(config, tmp_path / "run", reporter=reporter_with(note=notes.append))
    assert result.scores["map_sklearn"] == 1  # red squares are aeroplanes, blue ones bicycles
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.toml", "run.json", "split.json", "metrics.jsonl", "thresholds.json", "best.safetensors",
        "final.safetensors", "state",
    }  # fmt: skip
    assert any("no training image shows bird" in note for note in notes)
    thresholds = json.loads((tmp_path / "run" / "thresholds.json").read_text())
    assert len(thresholds["best"]["per-class"]) == 20
    assert thresholds["final"]["0.5"] == [0.5] * 20


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("scratch", "auto"),
        ("tf_efficientnet_lite0", "auto"),
        ("vit_tiny_patch16_224", "none"),
        ("convnext_atto", "none"),
    ],
)
def test_resumed_run_equals_uninterrupted_run(tiny: Path, tmp_path: Path, name: str, weights: str) -> None:
    flags = {"model": name, "weights": weights, "batch": 4, "freeze_epochs": 1, "layer_decay": 0.8, "augment": "strong"}
    config = tiny_config(tiny, **flags)
    run(config, tmp_path / "uninterrupted")
    with pytest.raises(Interrupted, match="resume with"):
        run(config, tmp_path / "resumed", reporter=interrupt_after_epoch(1))
    resume(str(tmp_path / "resumed"))
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")
    assert evaluate([str(tmp_path / "resumed")]).info.num_images == 4


@pytest.fixture(scope="module")
def real_images_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decoded real images, shared by the models below."""
    return tmp_path_factory.mktemp("real-images-cache")


@pytest.mark.parametrize(
    "name",
    [
        "convnext_atto",
        pytest.param(
            "vit_tiny_patch16_224",
            marks=pytest.mark.skipif("VOCCTL_LONG" not in os.environ, reason="`make test-long` runs it"),
        ),
    ],
)
def test_run_on_real_images_is_interrupted_resumed_evaluated_and_exported(
    shared: Path, real_images_cache: Path, tmp_path: Path, name: str
) -> None:
    data = {"path": str(shared / "voc-objects"), "cache_dir": str(real_images_cache)}
    config = given(TrainClsConfig(), **data, model=name, weights="none", size=32, size_from=0, epochs=1)
    batches_before_signal: list[int] = []
    with pytest.raises(Interrupted):
        run(config, tmp_path / "run", reporter=interrupt_in_epoch(batches_before_signal))
    assert batches_before_signal[0] < 891 // 16  # within the epoch
    resume(str(tmp_path / "run"))
    (record,) = read_metrics(tmp_path / "run")
    assert record["step"] == 891 // 16
    result = evaluate([str(tmp_path / "run")], EvalOptions(checkpoint="final"))
    assert result.info.num_images == 490
    assert result.scores["map_sklearn"] == pytest.approx(record["map_sklearn"])
    exported = export(str(tmp_path / "run"), out=tmp_path / "run.onnx", checkpoint="final")
    assert exported.difference < 1e-4


def test_head_of_a_pretrained_model_starts_as_a_linear_probe_and_batch_norms_are_folded(
    tiny: Path, tmp_path: Path
) -> None:
    flags = {"model": "tf_efficientnet_lite0", "size": 64, "epochs": 1, "lr": 1e-9, "weight_decay": 0.0, "ema": 0.0}
    config = tiny_config(tiny, **flags)
    counts: list[tuple[str, int, int]] = []
    result = run(config, tmp_path / "probe", reporter=reporter_with(count=lambda *count: counts.append(count)))
    assert result.scores["map_sklearn"] == 1
    assert ("features of images", 8, 8) in counts
    run(tiny_config(tiny, probe=False, **flags), tmp_path / "random-head")
    probe, random_head = (load_file(tmp_path / name / "final.safetensors") for name in ("probe", "random-head"))
    pretrained = Classifier(config.model, 64).eval()
    splits = open_cls_splits(config.data)
    setup = DeviceSetup(torch.device("cpu"), "fp32")
    features = pooled(encoder_features(pretrained, splits.train.images, setup, config.data))
    weight, bias = linear_probe(features, torch.from_numpy(splits.train.targets))
    assert torch.allclose(probe["backbone.classifier.weight"], weight, atol=1e-5)
    assert torch.allclose(probe["backbone.classifier.bias"], bias, atol=1e-4)
    assert not any("running" in name for name in probe)
    assert not torch.equal(random_head["backbone.classifier.weight"], probe["backbone.classifier.weight"])


def test_the_pixel_classifier_of_a_pretrained_model_is_fitted_to_masks(tiny: Path, tmp_path: Path) -> None:
    """Training itself moves nothing at this learning rate."""
    flags = {"model": "tf_efficientnet_lite0", "size": 64, "epochs": 1, "lr": 1e-9, "weight_decay": 0.0, "ema": 0.0}
    counts: list[tuple[str, int, int]] = []
    result = run(
        tiny_config(tiny, **flags), tmp_path / "run", reporter=reporter_with(count=lambda *count: counts.append(count))
    )
    assert result.scores["map_sklearn"] == 1
    assert any(stage == "fitting the pixel classifier, steps" for stage, _, _ in counts)
    model, _, _ = load_classifier(RunFolder(tmp_path / "run"), "final", "cpu")
    with torch.no_grad():
        images = (
            torch.from_numpy(cached_split(open_dataset(tiny), "val", 64).image(0).copy()).permute(2, 0, 1)[None] / 255
        )
        *maps, _ = model.feature_maps(images)
        probs = model.evidence(maps).sigmoid()[0]
    assert probs[0] > 0.5 > probs[1:].max()  # an aeroplane


@pytest.mark.parametrize("change", ["no list", "no mask", "--no-probe"])
def test_without_masks_labels_alone_are_used(tiny: Path, tmp_path: Path, change: str) -> None:
    devkit = tiny / "VOCdevkit" / "VOC2009"
    if change == "no list":
        (devkit / "ImageSets" / "Segmentation" / "train.txt").unlink()
    elif change == "no mask":
        (devkit / "SegmentationClass" / "tiny_003.png").unlink()
    notes: list[str] = []
    config = tiny_config(tiny, model="tf_efficientnet_lite0", size=64, epochs=1, probe=change != "--no-probe")
    run(config, tmp_path / "run", reporter=reporter_with(note=notes.append))
    assert not any(name.startswith("evidence.") for name in load_file(tmp_path / "run" / "final.safetensors"))
    assert "mask_evidence = false" in (tmp_path / "run" / "config.toml").read_text()
    expected = {"no list": "no training image has a mask", "no mask": "masks are not used: ", "--no-probe": ""}[change]
    assert any(expected in note for note in notes)
    assert evaluate([str(tmp_path / "run")]).info.num_images == 4


def test_a_run_with_mask_evidence_is_resumed_and_exported(tiny: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny, model="tf_efficientnet_lite0", size=64, batch=4, epochs=2)
    run(config, tmp_path / "uninterrupted")
    with pytest.raises(Interrupted, match="resume with"):
        run(config, tmp_path / "resumed", reporter=interrupt_after_epoch(1))
    resume(str(tmp_path / "resumed"))
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")
    assert export(str(tmp_path / "resumed"), out=tmp_path / "run.onnx").num_images == 4  # it compares them


def test_resumed_run_with_a_frozen_encoder_equals_uninterrupted_run(tiny: Path, tmp_path: Path) -> None:
    config = tiny_config(
        tiny, model="tf_efficientnet_lite0", freeze_encoder=True, size=32, epochs=3, cache_dir=str(tmp_path / "cache")
    )
    run(config, tmp_path / "uninterrupted")
    features = {path.name for path in (tmp_path / "cache").glob("features-*") if path.is_dir()}
    with pytest.raises(Interrupted, match="resume with"):
        run(config, tmp_path / "resumed", reporter=interrupt_after_epoch(1))
    resume(str(tmp_path / "resumed"))
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")
    assert features == {path.name for path in (tmp_path / "cache").glob("features-*") if path.is_dir()}
    saved, pretrained = load_file(tmp_path / "resumed" / "best.safetensors"), Classifier(config.model, 32).state_dict()
    head = ("backbone.classifier.weight", "backbone.classifier.bias")
    assert all(torch.equal(tensor, pretrained[name]) for name, tensor in saved.items() if name not in head)


def test_the_probe_uses_as_many_images_as_there_is_time_for(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(train_cls, "num_images_in", lambda *args: 3)
    counts: list[tuple[str, int, int]] = []
    config = tiny_config(tiny, model="tf_efficientnet_lite0", size=64, epochs=1)
    run(config, tmp_path / "run", reporter=reporter_with(count=lambda *count: counts.append(count)))
    assert ("features of images", 3, 3) in counts


def test_a_frozen_encoder_computes_all_features_once(tiny: Path, tmp_path: Path) -> None:
    counts: list[tuple[str, int, int]] = []
    config = tiny_config(tiny, model="tf_efficientnet_lite0", size=64, freeze_encoder=True, minutes=1e-4)
    run(config, tmp_path / "run", reporter=reporter_with(count=lambda *count: counts.append(count)))
    finished = [stage for stage, done, total in counts if stage.startswith("features") and done == total]
    assert finished == ["features of images", "features of mirrored images", "features of images"]  # 8, 8, and 4 of val


def test_minutes_that_the_probe_uses_up_leave_one_step(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    config = tiny_config(tiny, model="tf_efficientnet_lite0", size=64, minutes=0.0001)
    run(config, tmp_path / "run", reporter=reporter_with(note=notes.append))
    assert [record["step"] for record in read_metrics(tmp_path / "run")] == [1]
    assert any("one step is trained" in note for note in notes)


@pytest.mark.parametrize(
    ("model", "probe", "expected"),
    [
        ("scratch", True, 1e-3),
        ("tf_efficientnet_lite0", False, 1e-3),
        ("tf_efficientnet_lite0", True, 1e-3 * 0.005),  # the head is fitted already: encoder_lr is its rate too
    ],
)
def test_metrics_record_the_highest_learning_rate(
    tiny: Path, tmp_path: Path, model: str, probe: bool, expected: float
) -> None:
    flags = {"size": 64, "batch": 4, "epochs": 1, "schedule": "constant", "warmup": 0.0, "lr": 1e-3}
    run(tiny_config(tiny, model=model, probe=probe, **flags), tmp_path / "run")
    assert read_metrics(tmp_path / "run")[0]["lr"] == pytest.approx(expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_interrupted_during_the_probe_starts_again_when_resumed(
    tiny: Path, tmp_path: Path, number: signal.Signals
) -> None:
    config = tiny_config(tiny, model="tf_efficientnet_lite0", size=64, batch=4, epochs=1)

    def send_signal(what: str, done: int, total: int) -> None:
        if what == "features of images":  # they are not in the cache yet
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match=r"before the first step: --resume .* starts again"):
        run(config, tmp_path / "resumed", reporter=reporter_with(count=send_signal))
    resume(str(tmp_path / "resumed"))
    run(config, tmp_path / "uninterrupted")
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")


def test_run_interrupted_while_images_are_predicted_gets_its_thresholds_when_resumed(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tiny, epochs=1)
    run(config, tmp_path / "uninterrupted")

    def predict_after_signal(*args: object, **options: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return predict_label_probs(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(train_cls, "predict_label_probs", predict_after_signal)
        with pytest.raises(Terminated, match="all is saved: resume with --resume"):
            run(config, tmp_path / "resumed")
    assert not (tmp_path / "resumed" / "thresholds.json").exists()
    result = resume(str(tmp_path / "resumed"))
    assert result.scores["map_sklearn"] == read_metrics(tmp_path / "resumed")[-1]["map_sklearn"]
    assert read_metrics(tmp_path / "uninterrupted") == read_metrics(tmp_path / "resumed")
    expected, resumed = (
        json.loads((tmp_path / name / "thresholds.json").read_text()) for name in ("uninterrupted", "resumed")
    )
    assert resumed == expected


def test_encoder_lr_is_ignored_without_pretrained_weights(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    for scale in (0.0, 1.0):
        config = tiny_config(tiny, epochs=1, encoder_lr=scale)
        run(config, tmp_path / str(scale), reporter=reporter_with(note=notes.append))
    assert have_equal_weights(tmp_path / "0.0", tmp_path / "1.0")
    assert len([note for note in notes if "--encoder-lr is for pretrained weights" in note]) == 2


def test_backbone_does_not_change_in_frozen_epochs(tiny: Path, tmp_path: Path) -> None:
    for epochs in (1, 2):
        run(tiny_config(tiny, epochs=epochs, freeze_epochs=epochs, ema=0.0), tmp_path / f"{epochs}")
    one_epoch, two_epochs = (load_file(tmp_path / f"{epochs}" / "final.safetensors") for epochs in (1, 2))
    assert all(torch.equal(one_epoch[key], two_epochs[key]) for key in one_epoch if "encoder" in key)
    assert not torch.equal(one_epoch["backbone.fc.weight"], two_epochs["backbone.fc.weight"])


@pytest.mark.parametrize("flags", [{"loss": "asl"}, {"loss": "focal"}, {"loss": "bce", "pos_weight": "auto"}])
def test_every_loss_trains_on_mixed_images(tiny: Path, tmp_path: Path, flags: dict[str, str]) -> None:
    run(tiny_config(tiny, epochs=1, ema=0.0, **flags), tmp_path / "plain")
    result = run(tiny_config(tiny, epochs=1, ema=0.0, mixup=1.0, cutmix=1.0, **flags), tmp_path / "mixed")
    assert result.scores["val_loss"] > 0
    assert not have_equal_weights(tmp_path / "plain", tmp_path / "mixed")


def test_a_run_with_mixed_images_and_lamb_is_interrupted_in_an_epoch_and_resumed(tiny: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny, mixup=0.8, cutmix=1.0, optimizer="lamb", lr=0.01)
    run(config, tmp_path / "uninterrupted")
    batches_before_signal: list[int] = []
    with pytest.raises(Interrupted):
        run(config, tmp_path / "resumed", reporter=interrupt_in_epoch(batches_before_signal))
    assert batches_before_signal[0] < 4  # of the four batches of an epoch
    resume(str(tmp_path / "resumed"))
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")


@pytest.mark.parametrize("flags", [{"loss": "asl"}, {"loss": "focal"}, {"loss": "bce", "pos_weight": "auto"}])
def test_every_loss_trains(tiny: Path, tmp_path: Path, flags: dict[str, str]) -> None:
    assert run(tiny_config(tiny, epochs=1, **flags), tmp_path / "run").scores["val_loss"] > 0


def test_difficult_labels_give_no_gradient(tiny: Path, tmp_path: Path) -> None:
    """Every cat label is difficult (0) in place of absent (-1): an absent class would train its output."""
    path = tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main" / "cat_train.txt"
    path.write_text(path.read_text().replace("-1", " 0"))
    for epochs in (1, 2):
        run(tiny_config(tiny, epochs=epochs, ema=0.0, weight_decay=0.0), tmp_path / f"{epochs}")
    one_epoch, two_epochs = (
        load_file(tmp_path / f"{epochs}" / "final.safetensors")["backbone.fc.bias"] for epochs in (1, 2)
    )
    assert one_epoch[CAT] == two_epochs[CAT]
    assert not torch.equal(one_epoch[CHAIR], two_epochs[CHAIR])


def test_pos_weight_is_negatives_per_positive_of_the_known_labels():
    targets = np.array([[1, 0, 255], [0, 0, 0], [0, 0, 1], [0, 0, 0]])
    assert pos_weight(targets).tolist() == [3, 1, 2]
    assert pos_weight(np.array([[1]] + [[0]] * 99)).tolist() == [20]  # 99, limited to MAX_POS_WEIGHT


def test_validation_split_without_any_class_is_an_error(tiny: Path, tmp_path: Path) -> None:
    for path in (tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main").glob("*_val.txt"):
        path.write_text(path.read_text().replace(" 1", "-1"))
    with pytest.raises(DataError, match="no validation image shows a class"):
        run(tiny_config(tiny), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_class_lists_with_0_for_absent_are_an_error(tiny: Path, tmp_path: Path) -> None:
    for path in (tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main").glob("*_train.txt"):
        path.write_text(path.read_text().replace("-1", "0"))
    with pytest.raises(DataError, match=r"training images: no class is absent \(-1\) in any image; 0 means difficult"):
        run(tiny_config(tiny), tmp_path / "run")


def test_evaluation_uses_the_validation_images_that_the_run_split_off(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, val=0.25, epochs=1), tmp_path / "run")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert (len(split["train"]), len(split["val"])) == (6, 2)
    result = evaluate([str(tmp_path / "run")], EvalOptions(checkpoint="final"))
    assert (result.info.split, result.info.num_images) == ("held-out", 2)
    assert result.scores["map_sklearn"] == pytest.approx(read_metrics(tmp_path / "run")[-1]["map_sklearn"])
