"""Score a run on corrupted images: every corruption at every severity, on the images of a split.

Writes RUN/corruptions/<data>-<split>/. runs/corruptions.py documents the files.
"""

import shutil

from vocctl.config import EvalOptions
from vocctl.config.corruptions import CorruptionConfig
from vocctl.data.cache import fingerprint
from vocctl.data.corruptions.table import VERSION
from vocctl.distributed import is_main_process
from vocctl.errors import Interrupted
from vocctl.inference.eval_split import eval_split, fixed_subset
from vocctl.reporting.corruption_figures import draw_corrupted_image, draw_curves
from vocctl.robustness.corruption_scores import CorruptionBenchmark, OnProgress, score_missing_cells
from vocctl.robustness.victims import open_victim
from vocctl.runs.corruptions import CorruptionRecord, model_fingerprint, with_stored_scores, write_corruptions


def corrupt(
    name: str, config: CorruptionConfig, options: EvalOptions = EvalOptions(), on_progress: OnProgress | None = None
) -> CorruptionRecord:
    """Score a segmenter or a classifier on the clean images and in each cell that is not stored yet.

    options: data, split, checkpoint and device; the others do not apply. The scores are stored after each cell.
    Raises DataError: as `vocctl eval`. RunError: the run folder is not writable. Interrupted: Ctrl-C.
    """
    victim = open_victim([name], options.checkpoint, options.device)
    run = victim.runs[0]
    source, split, labeled = eval_split(run, victim.config.data, options.data, options.split)
    indices = fixed_subset(len(labeled.images.ids), config.images, config.seed)
    record = CorruptionRecord(
        folder=run.path, task=victim.task, metric=victim.metric, data=source.name, data_path=str(source.root.absolute()),
        split=split, checkpoint=options.checkpoint, fingerprint=fingerprint(labeled.take(indices).content_hashes),
        weights=model_fingerprint(run, options.checkpoint), images=len(indices), seed=config.seed, version=VERSION,
        kinds=config.kinds, severities=config.severities, clean={}, cells={},
    )  # fmt: skip
    record = with_stored_scores(record, run.path, config.images)
    if not record.clean and is_main_process():
        shutil.rmtree(record.folder, ignore_errors=True)  # the scores and figures of other weights
    bench = CorruptionBenchmark(victim, source, labeled, indices, config.seed)
    try:
        for with_next_cell in score_missing_cells(bench, record, on_progress):
            record = with_next_cell
            write_corruptions(record)
    except KeyboardInterrupt as error:
        done = len(record.grid) - len(record.missing_cells)
        raise Interrupted(
            f"interrupted: {done} of {len(record.grid)} cells are stored in {record.folder}; the same command continues"
        ) from error
    write_corruptions(record)  # also if all cells were stored: with the kinds and severities of this command
    if is_main_process():
        image_id = labeled.images.ids[indices[0]]
        draw_curves(run.path.resolve().name, record, record.folder / "curves.png")
        draw_corrupted_image(source.image(image_id), image_id, record, record.folder / "images.png")
    return record
