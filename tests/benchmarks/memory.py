"""Peak memory and speed of training from the command line with 100,000 images, compared with 1,000.

    python tests/benchmarks/memory.py [IMAGES] [SECONDS]

The training images are drawn (`download shapes`) and linked repeatedly under new names in two devkits: the large one has
IMAGES training images (default 100,000), the small one a hundredth of them. The same small network is trained on each for
SECONDS (default 40) at 64 px, alternately, in six rounds, each time in a new process, whose peak resident memory the system
reports. The first round also decodes the images, so its times are left out. Printed: the largest peak on the large devkit
relative to the small one, and the median over the rounds of the ratio of the times, because the machine's speed drifts more
than the effect.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROUNDS = 6


def make_linked_devkit(source: Path, root: Path, num_images: int) -> Path:
    """Create a devkit in root. Its train split has num_images links to source's training images, its val split is source's."""
    devkit = root / "VOCdevkit" / "VOC2009"
    lists = Path("ImageSets") / "Segmentation"
    train = (source / lists / "train.txt").read_text().split()
    val = (source / lists / "val.txt").read_text().split()
    names = {f"copy_{number:06d}": train[number % len(train)] for number in range(num_images)}
    for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        (devkit / folder).mkdir(parents=True)
        for name, original in [*names.items(), *((name, name) for name in val)]:
            os.link(source / folder / f"{original}{suffix}", devkit / folder / f"{name}{suffix}")
    (devkit / lists).mkdir(parents=True)
    (devkit / lists / "train.txt").write_text("\n".join(names) + "\n")
    (devkit / lists / "val.txt").write_text("\n".join(val) + "\n")
    return root


def train(data: Path, out: Path, seconds: float) -> tuple[float, float]:
    """Train for this time. Returns peak resident memory in MiB, and milliseconds per image."""
    flags = ["--encoder", "scratch", "--widths", "16,16,16",
             "--size", "64", "--size-from", "0", "--batch", "16", "--quiet"]  # fmt: skip
    arguments = ["train-seg", "--data", str(data), "--out", str(out), "--minutes", str(seconds / 60), *flags]
    process = subprocess.Popen([sys.executable, "-m", "vocctl", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{data}: train-seg exited with {os.waitstatus_to_exitcode(status)}")
    last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    return usage.ru_maxrss / 1024, 1000 * last["train_seconds"] / (last["step"] * 16)


def main() -> None:
    num_images = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 40.0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["VOCCTL_CACHE"] = str(root / "cache")
        shapes = ["download", "shapes", "--out", str(root / "drawn"), "--quiet"]
        subprocess.run([sys.executable, "-m", "vocctl", *shapes], check=True)
        drawn = root / "drawn" / "VOCdevkit" / "VOC2009"
        devkits = {
            count: make_linked_devkit(drawn, root / f"images-{count}", count)
            for count in (num_images // 100, num_images)
        }
        results: dict[int, list[tuple[float, float]]] = {count: [] for count in devkits}
        for round_number in range(ROUNDS):
            for count, data in devkits.items():
                results[count].append(train(data, root / f"run-{count}-{round_number}", seconds))
        for count, runs in results.items():
            peaks = ", ".join(f"{peak:.0f}" for peak, _ in runs)
            times = ", ".join(f"{time:.3f}" for _, time in runs[1:])
            print(f"{count:7} images: peak memory {peaks} MiB; {times} ms per image")
        small, large = results.values()
        print(f"large / small: peak memory {max(peak for peak, _ in large) / max(peak for peak, _ in small):.2f}")
        ratios = [
            large_time / small_time for (_, small_time), (_, large_time) in zip(small[1:], large[1:], strict=True)
        ]
        print(f"large / small: time per image {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
