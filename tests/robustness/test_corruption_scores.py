"""Scores on corrupted images: the same images in chunks of any size, and one cell after the other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vocctl.config import DataConfig
from vocctl.data.corruptions.table import corrupt_image
from vocctl.inference.eval_split import eval_split
from vocctl.robustness import corruption_scores
from vocctl.robustness.corruption_scores import CorruptionBenchmark, score_missing_cells
from vocctl.robustness.victims import open_victim
from vocctl.runs.corruptions import CorruptionRecord


def open_bench(run: Path, count: int = 4) -> CorruptionBenchmark:
    victim = open_victim([str(run)], "best", None)
    config: DataConfig = victim.config.data
    source, _, labeled = eval_split(victim.runs[0], config, None, None)
    return CorruptionBenchmark(victim, source, labeled, np.arange(count), seed=0)


def empty_record(run: Path, metric: str) -> CorruptionRecord:
    return CorruptionRecord(
        folder=run, task="", metric=metric, data="", data_path="", split="", checkpoint="", fingerprint="", weights="",
        images=4, seed=0, version=1, kinds=("gaussian_noise", "contrast"), severities=(1, 5), clean={}, cells={},
    )  # fmt: skip


@pytest.mark.parametrize(("name", "metric"), [("seg", "mean_iou"), ("cls", "map_sklearn")])
def test_scores_do_not_depend_on_the_chunks(
    attackable_runs: dict[str, Path], name: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = open_bench(attackable_runs[name])
    counts: list[int] = []
    expected = bench.score(("impulse_noise", 3), counts.append)
    assert counts[-1] == 4
    assert counts == sorted(counts)
    monkeypatch.setattr(corruption_scores, "CHUNK", 3)
    assert bench.score(("impulse_noise", 3), counts.append) == pytest.approx(expected, abs=1e-6)
    clean = bench.score(None, counts.append)
    assert clean[metric] == pytest.approx(1, abs=0.2)
    noisy = bench.score(("gaussian_noise", 5), counts.append)
    assert noisy[metric] <= clean[metric]
    assert noisy != clean or name == "cls"  # noise does not hide the color by which this classifier decides


def test_an_image_is_the_same_in_any_batch_and_order(attackable_runs: dict[str, Path]) -> None:
    bench = open_bench(attackable_runs["seg"])
    together = bench.read(np.array([0, 1, 2, 3]), ("frost", 2))
    backwards = bench.read(np.array([3, 1]), ("frost", 2))
    assert backwards.ids == (together.ids[3], together.ids[1])
    assert np.array_equal(backwards.images[0], together.images[3])
    assert np.array_equal(backwards.images[1], together.images[1])
    image = bench.source.image(together.ids[1])
    assert np.array_equal(together.images[1], corrupt_image(image, "frost", 2, image_id=together.ids[1], seed=0))
    other_seed = replace(bench, seed=1).read(np.array([1]), ("frost", 2))
    assert not np.array_equal(other_seed.images[0], together.images[1])


def test_masks_of_a_segmenter_move_and_labels_of_a_classifier_stay(attackable_runs: dict[str, Path]) -> None:
    seg, cls = (open_bench(attackable_runs[name]) for name in ("seg", "cls"))
    indices = np.arange(4)
    clean, fog, warped = (seg.read(indices, cell).labels for cell in (None, ("fog", 5), ("elastic_transform", 2)))
    assert all(np.array_equal(*masks) for masks in zip(clean, fog, strict=True))
    assert not any(np.array_equal(*masks) for masks in zip(clean, warped, strict=True))
    assert np.array_equal(cls.read(indices, None).labels, cls.read(indices, ("elastic_transform", 2)).labels)


def test_only_missing_cells_are_scored(attackable_runs: dict[str, Path]) -> None:
    bench = open_bench(attackable_runs["seg"])
    empty = empty_record(attackable_runs["seg"], "mean_iou")
    progress: list[tuple[int, int]] = []
    records = list(score_missing_cells(bench, empty, lambda *counts: progress.append(counts)))
    assert [len(record.cells) for record in records] == [0, 1, 2, 3, 4]
    assert records[0].clean
    assert progress[-1] == (20, 20)  # four images, clean and in four cells
    kept = dict(list(records[-1].cells.items())[:3])
    progress.clear()
    (last,) = score_missing_cells(bench, replace(records[-1], cells=kept), lambda *counts: progress.append(counts))
    assert last == records[-1]
    assert progress[-1] == (4, 4)
