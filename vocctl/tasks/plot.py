"""Draw what a run has: its curves, and the best and worst cases of an evaluation, into RUN/plots/."""

import json
from pathlib import Path
from typing import Any

from vocctl.config import TrainClsConfig, TrainSegConfig, closest
from vocctl.data.photos import read_mask
from vocctl.data.source import Source, open_dataset
from vocctl.errors import DataError
from vocctl.plots.curves import draw_curves
from vocctl.plots.overlays import Case, draw_cases
from vocctl.runs import RunFolder, open_run


def plot(name: str, *, evaluation: str | None = None, cases: int = 4) -> list[Path]:
    """The pictures' paths: curves.png; of a segmenter, best-*.png and worst-*.png of the evaluation (the newest, if any).

    Raises DataError: no such run or evaluation, no epoch yet, data or label maps gone.
    """
    run = open_run(name)
    records = run.read_metrics()
    segments = run.about().get("task") == "train-seg"
    config: TrainSegConfig | TrainClsConfig = run.config(TrainSegConfig() if segments else TrainClsConfig())
    monitor = config.train.monitor
    better = min if monitor == "val_loss" else max
    best = better(records, key=lambda record: record[monitor])
    paths = [draw_curves(records, run.path / "plots" / "curves.png", title=run.path.name, best_epoch=best["epoch"])]
    if not segments:
        return paths
    folder = _evaluation(run, evaluation)
    return paths if folder is None else paths + _draw_cases(run, folder, cases)


def _evaluation(run: RunFolder, name: str | None) -> Path | None:
    """RUN/eval/<name>, or the newest there; None where nothing was evaluated yet."""
    found = {path.parent.name: path.parent for path in (run.path / "eval").glob("*/scores.json")}
    if name is not None:
        if name not in found:
            raise DataError(
                f"{run.path}/eval holds no {name!r}{closest(name, found) or ':'} there is {', '.join(found) or 'none'}"
            )
        return found[name]
    return max(found.values(), key=lambda path: (path / "scores.json").stat().st_mtime) if found else None


def _draw_cases(run: RunFolder, folder: Path, count: int) -> list[Path]:
    try:
        scores: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        by_photo: dict[str, float] = scores["photo_iou"]
        source = open_dataset(Path(scores["data_path"]))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder}/scores.json can't be read: run `vocctl eval {run.path}` again") from error
    ranked = sorted((image_id for image_id, score in by_photo.items() if score is not None), key=lambda i: by_photo[i])
    drawn = []
    for kind, ids in (("best", ranked[::-1][:count]), ("worst", ranked[:count])):
        chosen = [_case(source, folder, image_id, by_photo[image_id]) for image_id in ids]
        if chosen:
            title = f"{run.path.name}: {kind} of {len(ranked)} photos of {folder.name}, by each photo's mean IoU"
            drawn.append(draw_cases(chosen, run.path / "plots" / f"{kind}-{folder.name}.png", title=title))
    return drawn


def _case(source: Source, folder: Path, image_id: str, score: float) -> Case:
    truth = source.mask(image_id)
    predicted = read_mask(folder / "labels" / f"{image_id}.png")
    if predicted.shape != truth.shape:
        raise DataError(f"{folder}/labels/{image_id}.png does not fit its photo: run `vocctl eval` again")
    return Case(image_id, score, source.image(image_id), truth, predicted)
