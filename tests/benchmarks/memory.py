"""Peak memory and speed of training with a hundred thousand images against a thousand, through the command line.

    python tests/benchmarks/memory.py [IMAGES] [SECONDS]

The images are drawn (`download shapes`) and linked again and again under new names in two devkits; the smaller has a
hundredth of the larger. Both train the same small network for so many seconds at 64 px, each in a process of its own, whose
largest resident memory the system tells. They take turns; the first turn decodes as well, and its times don't count. The
ratio of the times is the median of the turns' own: a machine's speed drifts by more than is looked for here.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

TURNS = 6


def linked(source: Path, root: Path, images: int) -> Path:
    """A tree of so many names for the training images of the devkit source; its val split is the same."""
    devkit = root / "VOCdevkit" / "VOC2009"
    lists = Path("ImageSets") / "Segmentation"
    ids = (source / lists / "train.txt").read_text().split()
    val = (source / lists / "val.txt").read_text().split()
    names = {f"again_{number:06d}": ids[number % len(ids)] for number in range(images)}
    for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        (devkit / folder).mkdir(parents=True)
        for name, of in [*names.items(), *((name, name) for name in val)]:
            os.link(source / folder / f"{of}{suffix}", devkit / folder / f"{name}{suffix}")
    (devkit / lists).mkdir(parents=True)
    (devkit / lists / "train.txt").write_text("\n".join(names) + "\n")
    (devkit / lists / "val.txt").write_text("\n".join(val) + "\n")
    return root


def train(data: Path, out: Path, seconds: float) -> tuple[float, float]:
    """Peak resident memory in MiB, and milliseconds a image."""
    flags = [
        "--encoder",
        "scratch",
        "--widths",
        "16,16,16",
        "--size",
        "64",
        "--size-from",
        "0",
        "--batch",
        "16",
        "--quiet",
    ]
    words = ["train-seg", "--data", str(data), "--out", str(out), "--minutes", str(seconds / 60), *flags]
    process = subprocess.Popen([sys.executable, "-m", "vocctl", *words])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{data}: train-seg ended with {os.waitstatus_to_exitcode(status)}")
    last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    return usage.ru_maxrss / 1024, 1000 * last["train_seconds"] / (last["step"] * 16)


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 40.0
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        os.environ["VOCCTL_CACHE"] = str(here / "cache")
        shapes = ["download", "shapes", "--out", str(here / "drawn"), "--quiet"]
        subprocess.run([sys.executable, "-m", "vocctl", *shapes], check=True)
        drawn = here / "drawn" / "VOCdevkit" / "VOC2009"
        sets = {images: linked(drawn, here / f"set{images}", images) for images in (many // 100, many)}
        seen: dict[int, list[tuple[float, float]]] = {images: [] for images in sets}
        for turn in range(TURNS):
            for images, data in sets.items():
                seen[images].append(train(data, here / f"run-{images}-{turn}", seconds))
        for images, runs in seen.items():
            peaks = ", ".join(f"{peak:.0f}" for peak, _ in runs)
            paces = ", ".join(f"{pace:.3f}" for _, pace in runs[1:])
            print(f"{images:7} images: peak {peaks} MiB; {paces} ms a image")
        few, lot = seen.values()
        print(f"peak memory {max(p for p, _ in lot) / max(p for p, _ in few):.2f} times")
        ratios = [many / less for (_, less), (_, many) in zip(few[1:], lot[1:], strict=True)]
        print(f"time a image {median(ratios):.3f} times ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
