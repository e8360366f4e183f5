"""Training classifiers end to end on drawn images."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vocctl.config import EvalOptions, TrainClsConfig, given
from vocctl.data.datasets import EvalDataset
from vocctl.data.loaders import eval_loader
from vocctl.data.splits import open_cls_splits
from vocctl.errors import DataError, Interrupted, Terminated
from vocctl.inference.predict import predict_features, predict_label_probs
from vocctl.models.classifier import Classifier
from vocctl.tasks import train_cls
from vocctl.tasks.evaluate_cls import evaluate
from vocctl.tasks.export import export
from vocctl.tasks.train_cls import pos_weight, resume, run
from vocctl.training.probe import linear_probe
from vocctl.training.reporter import SilentReporter, TrainProgress


def reporter_with(**receivers: Callable[..., object]) -> SilentReporter:
    """A reporter that calls receivers["note"], ["count"], ["progress"] or ["epoch"]."""
    reporter = SilentReporter()
    vars(reporter).update(receivers)
    return reporter


TIMES = ("images_per_second", "data_wait", "train_seconds", "val_seconds")


def tiny_config(data: Path, **flags: object) -> TrainClsConfig:
    small = {"model": "scratch", "size": 32, "size_from": 0, "batch": 2, "epochs": 2, "precision": "fp32"}
    return given(TrainClsConfig(), path=str(data), **(small | flags))


def same_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one / "final.safetensors"), load_file(other / "final.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def metrics(folder: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key not in TIMES} for record in records]


def test_a_run_leaves_its_folder_and_learns(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    config = tiny_config(tiny, size=64, batch=4, epochs=30, lr=0.003, encoder_lr=1.0, ema=0.9, eval_every=10)
    result = run(config, tmp_path / "run", reporter=reporter_with(note=notes.append))
    assert result.scores["map_sklearn"] == 1  # red squares are aeroplanes, blue ones bicycles
    held = {path.name for path in (tmp_path / "run").iterdir()}
    assert held == {
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
def test_stopped_and_resumed_is_the_same_bit_for_bit(tiny: Path, tmp_path: Path, name: str, weights: str) -> None:
    config = tiny_config(
        tiny, model=name, weights=weights, epochs=3, freeze_epochs=1, layer_decay=0.8, augment="strong"
    )
    run(config, tmp_path / "alone")
    stop = reporter_with(epoch=lambda record: os.kill(os.getpid(), signal.SIGINT) if record["epoch"] == 1 else None)
    with pytest.raises(Exception, match="resume with"):
        run(config, tmp_path / "stopped", reporter=stop)
    resume(str(tmp_path / "stopped"))
    assert same_weights(tmp_path / "alone", tmp_path / "stopped")
    assert metrics(tmp_path / "alone") == metrics(tmp_path / "stopped")
    assert evaluate([str(tmp_path / "stopped")]).info.num_images == 4


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_atto"])
def test_on_real_images_it_trains_resumes_is_scored_and_exported(shared: Path, tmp_path: Path, name: str) -> None:
    config = given(
        TrainClsConfig(), path=str(shared / "voc-objects"), model=name, weights="none", size=64, size_from=0, epochs=1,
        save_every=0.0001,
    )  # fmt: skip
    asked: list[int] = []

    def stop(seen: TrainProgress) -> None:
        if not asked:
            asked.append(seen.batch)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        run(config, tmp_path / "run", reporter=reporter_with(progress=stop))
    assert asked[0] < 891 // 16
    resume(str(tmp_path / "run"))
    (line,) = metrics(tmp_path / "run")
    assert line["step"] == 891 // 16
    result = evaluate([str(tmp_path / "run")], EvalOptions(checkpoint="final"))
    assert result.info.num_images == 490
    assert result.scores["map_sklearn"] == pytest.approx(line["map_sklearn"])
    exported = export(str(tmp_path / "run"), out=tmp_path / "run.onnx", checkpoint="final")
    assert exported.difference < 1e-4


def test_a_pretrained_model_begins_as_a_linear_probe_and_keeps_its_statistics(tiny: Path, tmp_path: Path) -> None:
    flags = {"model": "tf_efficientnet_lite0", "size": 64, "epochs": 1, "lr": 1e-9, "weight_decay": 0.0, "ema": 0.0}
    config = tiny_config(tiny, **flags)
    counted: list[tuple[str, int, int]] = []
    result = run(config, tmp_path / "run", reporter=reporter_with(count=lambda *count: counted.append(count)))
    assert result.scores["map_sklearn"] == 1
    assert ("fitting the head", 8, 8) in counted
    run(tiny_config(tiny, probe=False, **flags), tmp_path / "plain")
    resumed, plain = (load_file(tmp_path / name / "final.safetensors") for name in ("run", "plain"))
    model = Classifier(config.model, 64).eval()
    splits = open_cls_splits(config.data)
    batches = eval_loader(EvalDataset(splits.train.images), 2, workers=0, pin=False)
    features = predict_features(model, model.head, batches, 8, device=torch.device("cpu"), precision="fp32")
    weight, bias = linear_probe(features, torch.from_numpy(splits.train.targets))
    assert torch.allclose(resumed["backbone.classifier.weight"], weight, atol=1e-5)
    assert torch.allclose(resumed["backbone.classifier.bias"], bias, atol=1e-4)
    statistics = [name for name in resumed if "running" in name]
    assert len(statistics) > 40
    assert all(torch.equal(resumed[name], model.state_dict()[name]) for name in statistics)
    assert not any(torch.equal(plain[name], resumed[name]) for name in statistics)


def test_minutes_that_the_probe_uses_up_leave_one_step(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    config = tiny_config(tiny, model="tf_efficientnet_lite0", size=64, minutes=0.0001)
    run(config, tmp_path / "run", reporter=reporter_with(note=notes.append))
    assert [record["step"] for record in metrics(tmp_path / "run")] == [1]
    assert any("one step is trained" in note for note in notes)


def test_the_rate_shown_is_that_of_the_fastest_layer(tiny: Path, tmp_path: Path) -> None:
    flags = {"size": 64, "epochs": 1, "schedule": "constant", "warmup": 0.0, "lr": 1e-3}
    for name, model, probe in (
        ("scratch", "scratch", True),
        ("random head", "tf_efficientnet_lite0", False),
        ("probe", "tf_efficientnet_lite0", True),
    ):
        run(tiny_config(tiny, model=model, probe=probe, **flags), tmp_path / name)
    shown = {path.parent.name: metrics(path.parent)[0]["lr"] for path in tmp_path.glob("*/metrics.jsonl")}
    assert shown == pytest.approx({"scratch": 1e-3, "random head": 1e-3, "probe": 1e-3 * 0.005})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_probe_and_resumed_is_the_same_bit_for_bit(
    tiny: Path, tmp_path: Path, number: signal.Signals
) -> None:
    config = tiny_config(tiny, model="tf_efficientnet_lite0", size=64, epochs=1)
    run(config, tmp_path / "alone")

    def stop(what: str, done: int, total: int) -> None:
        if what == "fitting the head":
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match=r"before the first step: --resume .* starts again"):
        run(config, tmp_path / "stopped", reporter=reporter_with(count=stop))
    resume(str(tmp_path / "stopped"))
    assert same_weights(tmp_path / "alone", tmp_path / "stopped")
    assert metrics(tmp_path / "alone") == metrics(tmp_path / "stopped")


@pytest.mark.parametrize("moment", ["validation", "thresholds"])
def test_stopped_while_images_are_scored_and_resumed_it_has_its_thresholds(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    config = tiny_config(tiny, epochs=1)
    run(config, tmp_path / "alone")
    looks: list[int] = []

    def asked(*words: object, **named: object) -> object:
        looks.append(1)
        if len(looks) == {"validation": 1, "thresholds": 3}[moment]:  # best weights' at 2, final weights' at 3
            os.kill(os.getpid(), signal.SIGTERM)
        return predict_label_probs(*words, **named)

    with monkeypatch.context() as patch:
        patch.setattr(train_cls, "predict_label_probs", asked)
        with pytest.raises(Terminated, match="all is saved: resume with --resume"):
            run(config, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "thresholds.json").exists()
    result = resume(str(tmp_path / "stopped"))
    assert result.scores["map_sklearn"] == metrics(tmp_path / "stopped")[-1]["map_sklearn"]
    assert metrics(tmp_path / "alone") == metrics(tmp_path / "stopped")
    alone, stopped = (json.loads((tmp_path / name / "thresholds.json").read_text()) for name in ("alone", "stopped"))
    assert alone == stopped


def test_encoder_lr_is_the_rate_of_pretrained_weights_alone(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    for rate in (0.0, 1.0):
        run(
            tiny_config(tiny, epochs=1, encoder_lr=rate),
            tmp_path / str(rate),
            reporter=reporter_with(note=notes.append),
        )
    assert same_weights(tmp_path / "0.0", tmp_path / "1.0")
    assert len([note for note in notes if "--encoder-lr is for pretrained weights" in note]) == 2


def test_in_frozen_epochs_the_body_stays(tiny: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny, epochs=2, freeze_epochs=2, ema=0.0)
    run(config, tmp_path / "run")
    run(tiny_config(tiny, epochs=1, freeze_epochs=1, ema=0.0), tmp_path / "other")
    first, second = (load_file(tmp_path / name / "final.safetensors") for name in ("run", "other"))
    assert all(torch.equal(first[key], second[key]) for key in first if "encoder" in key)
    assert not torch.equal(first["backbone.fc.weight"], second["backbone.fc.weight"])


@pytest.mark.parametrize("flags", [{"loss": "asl"}, {"loss": "focal"}, {"loss": "bce", "pos_weight": "auto"}])
def test_every_loss_trains(tiny: Path, tmp_path: Path, flags: dict[str, str]) -> None:
    assert run(tiny_config(tiny, epochs=1, **flags), tmp_path / "run").scores["val_loss"] > 0


def test_difficult_labels_train_nothing(tiny: Path, tmp_path: Path) -> None:
    """All cats difficult or all absent: the cat's output would learn otherwise; as IGNORE it gets no gradient."""
    lists = tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main"
    path = lists / "cat_train.txt"
    path.write_text(path.read_text().replace("-1", " 0"))
    run(tiny_config(tiny, epochs=2, ema=0.0, weight_decay=0.0), tmp_path / "run")
    run(tiny_config(tiny, epochs=1, ema=0.0, weight_decay=0.0), tmp_path / "other")
    first, second = (load_file(tmp_path / name / "final.safetensors")["backbone.fc.bias"] for name in ("run", "other"))
    assert first[7] == second[7]
    assert not torch.equal(first[8], second[8])


def test_pos_weight_by_hand():
    targets = np.array([[1, 0, 255], [0, 0, 0], [0, 0, 1], [0, 0, 0]])
    assert pos_weight(targets).tolist() == [3, 1, 2]
    assert pos_weight(np.array([[1]] + [[0]] * 99)).tolist() == [20]


def test_a_split_without_any_class_is_refused(tiny: Path, tmp_path: Path) -> None:
    for path in (tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main").glob("*_val.txt"):
        path.write_text(path.read_text().replace(" 1", "-1"))
    with pytest.raises(DataError, match="no validation image shows a class"):
        run(tiny_config(tiny), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_held_out_images_are_kept_in_the_run_and_scored_again(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, val=0.25, epochs=1), tmp_path / "run")
    parts = json.loads((tmp_path / "run" / "split.json").read_text())
    assert (len(parts["train"]), len(parts["val"])) == (6, 2)
    result = evaluate([str(tmp_path / "run")], EvalOptions(checkpoint="final"))
    assert result.info.split == "held-out"
    assert result.info.num_images == 2
    assert result.scores["map_sklearn"] == pytest.approx(metrics(tmp_path / "run")[-1]["map_sklearn"])
