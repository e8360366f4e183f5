"""RUN/attacks/: what is written is read back, evaluations keep their folders apart, and corrupt files are reported."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vocctl.config import AttackConfig
from vocctl.errors import DataError, RunError
from vocctl.runs.attacks import (
    ATTACK_FILE,
    TRANSFER_FILE,
    UNBOUNDED,
    AttackExample,
    AttackExamples,
    AttackRow,
    TransferMatrix,
    attack_records,
    evaluation_folder,
    evaluation_name,
    file_name,
    read_attack,
    transfer_records,
    write_attack,
    write_transfer,
)

CONFIG = AttackConfig(attack=("pgd-3",), eps=("2/255", "8/255"))
SETTINGS = {
    "members": ("runs/seg/one",), "data_path": Path("data/tiny"), "checkpoint": "best", "config": asdict(CONFIG),
    "task": "train-seg", "metric": "mean_iou", "norm": "linf", "split": "val", "images": 4,
}  # fmt: skip
DISTORTION = {"linf_max": 2 / 255, "psnr_mean": math.inf}
ROWS = [
    AttackRow("clean", "0", {"mean_iou": 0.75, "pixel_accuracy": 0.9}, {}, {}),
    AttackRow("pgd-3", "2/255", {"mean_iou": 0.5, "pixel_accuracy": 0.7}, {"fooling_rate": 0.25}, DISTORTION),
    AttackRow("pgd-3", "8/255", {"mean_iou": math.nan, "pixel_accuracy": 0.1}, {"fooling_rate": 1.0}, DISTORTION),
    AttackRow("adv:one", UNBOUNDED, {"mean_iou": 0.3, "pixel_accuracy": 0.4}, {"fooling_rate": 0.5}, DISTORTION),
]
IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
LABELS = np.array([[0, 15], [20, 1]], np.uint8).repeat(2, 0).repeat(2, 1)
MASK_EXAMPLE = AttackExample("one", IMAGE, IMAGE + 1, LABELS, np.zeros_like(LABELS), "linf 1/255")
LABEL_EXAMPLE = AttackExample("one", IMAGE, IMAGE + 1, {"dog": 0.75}, {"dog": 0.25}, "linf 1/255")


def write(run: Path, name: str = "tiny-val-linf", example: AttackExample = MASK_EXAMPLE, **changes: Any) -> Path:
    folder = run / "attacks" / name
    folder.mkdir(parents=True)
    write_attack(folder, SETTINGS | changes, ROWS, AttackExamples("pgd-3", "8/255", (example,)))
    return folder


def edit(folder: Path, **changes: Any) -> None:
    about = json.loads((folder / ATTACK_FILE).read_text())
    (folder / ATTACK_FILE).write_text(json.dumps(about | changes))


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (record,) = attack_records(tmp_path)
    assert (record.folder, record.name, record.metric, record.clean_score) == (folder, folder.name, "mean_iou", 0.75)
    assert record.rows[1].scores == ROWS[1].scores
    assert record.rows[1].rates == {"fooling_rate": 0.25}
    assert math.isnan(record.rows[2].scores["mean_iou"])
    assert record.settings["data_path"] == "data/tiny"
    curves = record.curves()
    assert curves["pgd-3"][0] == pytest.approx([2, 8])
    assert curves["pgd-3"][1][0] == 0.5
    assert math.isnan(curves["pgd-3"][1][1])
    assert math.isnan(curves["adv:one"][0][0])


def test_l2_budgets_keep_their_unit(tmp_path: Path) -> None:
    folder = write(tmp_path, norm="l2")
    rows = json.loads((folder / ATTACK_FILE).read_text())["rows"]
    edit(folder, rows=[rows[0], rows[1] | {"eps": "1.5"}])
    assert read_attack(folder).curves() == {"pgd-3": ([1.5], [0.5])}


def test_table_has_a_column_for_each_value(tmp_path: Path) -> None:
    headers, *rows = [line.split(",") for line in (write(tmp_path) / "table.csv").read_text().splitlines()]
    assert headers == ["attack", "eps", "pixel_accuracy", "mean_iou", "fooling_rate", "linf_max", "psnr_mean"]
    assert rows[0] == ["clean", "0", "0.9", "0.75", "", "", ""]
    assert rows[1][:5] == ["pgd-3", "2/255", "0.7", "0.5", "0.25"]


@pytest.mark.parametrize("example", [MASK_EXAMPLE, LABEL_EXAMPLE])
def test_examples_are_read_as_they_were_written(tmp_path: Path, example: AttackExample) -> None:
    record = read_attack(write(tmp_path, example=example))
    loaded = record.load_examples()
    (read,) = loaded.examples
    assert (loaded.attack, loaded.eps, read.image_id, read.caption) == ("pgd-3", "8/255", "one", "linf 1/255")
    assert (read.clean == IMAGE).all()
    assert (read.adversarial == IMAGE + 1).all()
    for output, expected in (
        (read.clean_output, example.clean_output),
        (read.adversarial_output, example.adversarial_output),
    ):
        assert np.array_equal(output, expected)
    assert [path.name for path in record.adversarial_paths()] == ["one.png"]
    labels = record.adversarial_labels("one")
    assert (labels is None) == isinstance(example.clean_output, dict)


def test_protocol_covers_all_but_the_attacks(tmp_path: Path) -> None:
    record = read_attack(write(tmp_path))
    other_attack = read_attack(write(tmp_path, "a", config=asdict(replace(CONFIG, attack=("fgsm",)))))
    assert other_attack.protocol == record.protocol
    for name, change in {
        "b": {"checkpoint": "final"}, "c": {"data_path": "other"}, "d": {"members": ("one", "two")},
        "e": {"config": asdict(replace(CONFIG, seed=1))}, "f": {"images": 5},
    }.items():  # fmt: skip
        assert read_attack(write(tmp_path, name, **change)).protocol != record.protocol


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '{"rows": []}', json.dumps({"rows": [3], "examples": {}}), "no JSON"],
)
def test_a_corrupt_record_is_reported(tmp_path: Path, text: str) -> None:
    (write(tmp_path) / ATTACK_FILE).write_text(text)
    with pytest.raises(DataError, match=r"is corrupt: attack again, with `vocctl eval"):
        attack_records(tmp_path)


@pytest.mark.parametrize(
    "change", [{"norm": None}, {"metric": "other"}, {"rows": []}, {"examples": []}, {"members": 3}]
)
def test_a_record_with_wrong_values_is_reported(tmp_path: Path, change: dict[str, Any]) -> None:
    edit(write(tmp_path), **change)
    with pytest.raises(DataError, match="is corrupt"):
        attack_records(tmp_path)


def test_a_corrupt_example_image_is_reported(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "adversarial" / "one.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"one\.png"):
        read_attack(folder).load_examples()


def test_a_folder_that_is_not_writable_is_reported(tmp_path: Path) -> None:
    (tmp_path / "clean").write_text("a file in the place of the folder")
    with pytest.raises(RunError, match=r"cannot be written: .*; free space"):
        write_attack(tmp_path, SETTINGS, ROWS, AttackExamples("pgd-3", "8/255", (MASK_EXAMPLE,)))


def test_matrices_are_read_as_they_were_written(tmp_path: Path) -> None:
    scores = {"one": {"one": 0.1, "two": 0.3}, "two": {"one": 0.2, "two": math.nan}}
    matrix = TransferMatrix("mean_iou", 4, "pgd-3", "8/255", ("one", "two"), {"one": 0.5, "two": 0.6}, scores)
    folder = tmp_path / "attacks" / "transfer-tiny"
    folder.mkdir(parents=True)
    write_transfer(folder, SETTINGS, [asdict(matrix) | {"sanity": {}}])
    ((read,),) = (record.matrices for record in transfer_records(tmp_path))
    assert str(read) == str(matrix)  # as text, because nan is not equal to itself
    (folder / TRANSFER_FILE).write_text(json.dumps({"matrices": [{"runs": ["one"]}]}))
    with pytest.raises(DataError, match="is corrupt"):
        transfer_records(tmp_path)


def test_only_the_same_evaluation_replaces_its_folder(tmp_path: Path) -> None:
    def folder(**changes: Any) -> str:
        return evaluation_folder(tmp_path, "tiny-val-linf", ATTACK_FILE, SETTINGS | changes).name

    assert folder() == "tiny-val-linf"
    write(tmp_path)
    assert folder() == "tiny-val-linf"
    assert folder(split="not part of the identity") == "tiny-val-linf"
    for change in ({"checkpoint": "final"}, {"data_path": Path("other")}, {"members": ("a", "b")}, {"config": {}}):
        assert folder(**change) == "tiny-val-linf-2"
    second = write(tmp_path, "tiny-val-linf-2", checkpoint="final")
    assert folder(checkpoint="final") == "tiny-val-linf-2"
    assert folder(config={}) == "tiny-val-linf-3"
    (second / ATTACK_FILE).write_text("{")
    assert folder(config={}) == "tiny-val-linf-2"  # a corrupt evaluation is replaced


def test_names() -> None:
    assert evaluation_name("tiny", "val", CONFIG) == "tiny-val-linf"
    assert evaluation_name("tiny", "val", replace(CONFIG, goal="hide:dog", images=5)) == "tiny-val-linf-hide-dog-5"
    assert file_name("pgd-20x5") == "pgd-20x5"
    assert file_name("adv:runs/adv/my run") == "adv-my-run"
