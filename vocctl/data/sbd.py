"""Add the Semantic Boundaries Dataset (SBD) to VOC2012: the split Segmentation/trainaug.

Source: Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011. Its archive has masks of 11,355 images of VOC2011,
all of which VOC2012 has too, so that its own copies of the images are not unpacked.

trainaug is the union of VOC2012's Segmentation/train and SBD's train and val, less VOC2012's Segmentation/val, as
mmsegmentation's converter computes it (`tools/convert_datasets/voc_aug.py`, which expects the same 10,582 images). Images
that VOC has annotated keep VOC's masks, which are finer and have a border of 255; the masks of the others go to
SegmentationClassAug.
"""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from vocctl.data.archive import Limits, OnProgress
from vocctl.data.images import fit_mask, image_size, mask_png
from vocctl.data.mat_file import MatError, read_segmentation
from vocctl.data.split_files import is_file_stem
from vocctl.data.tar_archive import unpack_tar
from vocctl.data.voc import MASK_FOLDERS, VocData
from vocctl.data.voc_lists import read_lines
from vocctl.errors import DataError
from vocctl.files import merge_folder, temporary_folder

NUM_IMAGES = 10_582  # in trainaug
DATASET = PurePosixPath("benchmark_RELEASE/dataset")  # in the archive
LIMITS = Limits(max_bytes=8 << 30, max_members=100_000)  # of all members; the archive has 1.4 GB


def add_sbd(
    devkit: Path,
    archive: Path,
    *,
    on_unpack: OnProgress | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> None:
    """Write SegmentationClassAug and Segmentation/trainaug.txt into a devkit of VOC2012. archive: SBD's benchmark.tgz.

    on_image: called with (masks converted, all masks). Other files of the devkit stay as they are; the list comes last.
    Raises DataError (the archive, an image that the devkit does not have, other files of these names) and RunError (the disk).
    """
    voc = VocData.open(devkit)
    train_ids, val_ids = set(voc.ids("train")), set(voc.ids("val"))
    with temporary_folder(devkit) as folder:
        unpack_tar(archive, folder / "archive", select=_is_needed, limits=LIMITS, on_progress=on_unpack)
        dataset = folder / "archive" / DATASET
        sbd_ids = {image_id for split in ("train", "val") for image_id in _read_list(dataset / f"{split}.txt", archive)}
        new_ids = sorted(sbd_ids - train_ids - val_ids)
        masks, lists = folder / "devkit" / MASK_FOLDERS[-1], folder / "devkit" / "ImageSets" / "Segmentation"
        for path in (masks, lists):
            path.mkdir(parents=True)
        for done, image_id in enumerate(new_ids, start=1):
            png = _mask_png(dataset / "cls" / f"{image_id}.mat", archive, voc.image_path(image_id))
            (masks / f"{image_id}.png").write_bytes(png)
            if on_image is not None:
                on_image(done, len(new_ids))
        ids = sorted((train_ids - val_ids).union(new_ids))
        (lists / "trainaug.txt").write_text("".join(f"{image_id}\n" for image_id in ids))
        merge_folder(folder / "devkit", devkit)


def _is_needed(path: PurePosixPath) -> bool:
    return path.is_relative_to(DATASET / "cls") or path in (DATASET / "train.txt", DATASET / "val.txt")


def _read_list(path: Path, archive: Path) -> list[str]:
    advice = "download SBD's benchmark.tgz again"
    if not path.is_file():
        raise DataError(f"{archive} has no {DATASET / path.name}: {advice}")
    try:
        ids = [line.text for line in read_lines(path)]
    except DataError as error:
        raise DataError(f"{archive} has {DATASET / path.name}, which cannot be read as a list: {advice}") from error
    for image_id in ids:
        if not is_file_stem(image_id):
            raise DataError(f"{archive} lists {image_id!r}: an id is a file name without its folder, {advice}")
    return ids


def _mask_png(path: Path, archive: Path, image_path: Path) -> bytes:
    """The mask in a .mat file of the archive as a palette PNG. Raises DataError: it is not a mask of this image."""
    advice = "download SBD's benchmark.tgz again"
    try:
        mask = read_segmentation(path)
    except FileNotFoundError as error:
        raise DataError(f"{archive} has no cls/{path.name}, but lists it: {advice}") from error
    except MatError as error:
        raise DataError(f"{archive}: cls/{path.name} {error}: {advice}") from error
    height, width = image_size(image_path)
    if fit_mask(mask, image_path).shape != (height, width):
        sizes = f"{mask.shape[1]} x {mask.shape[0]} pixels, {image_path} {width} x {height}"
        raise DataError(f"{archive}: cls/{path.name} has {sizes}: {advice}, or VOC2012")
    return mask_png(mask)
