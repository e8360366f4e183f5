"""Two processes that torchrun starts train and score as one does: the same losses, the same numbers, one voice."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.errors import ConfigError
from vocctl.runs.folder import create_run
from vocctl.tasks import train_adv, train_cls, train_seg

# torchrun starts a file: this one trains with batch norm frozen and no dropout, and writes the loss of each step
STEPS = """
import json, sys
from pathlib import Path
import torch
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.tasks import train_adv, train_cls, train_seg
from vocctl.distributed import is_main_process
from vocctl.training import trainer
from vocctl.training.reporter import SilentReporter

kind, data, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
trainer.REPORT_INTERVAL = 0
for kind_of_layer in (torch.nn.BatchNorm2d, torch.nn.Dropout):
    kind_of_layer.train = lambda self, mode=True: torch.nn.Module.train(self, False)
default, task, flags = {
    "seg": (TrainSegConfig(), train_seg, {"encoder": "scratch", "loss": sys.argv[4]}),
    "cls": (TrainClsConfig(), train_cls, {"model": "scratch", "loss": sys.argv[4], "lr": 3e-4}),
    "probe": (TrainClsConfig(), train_cls, {"loss": sys.argv[4]}),
    "adv": (TrainAdvConfig(), train_adv, {"target": sys.argv[5:], "width": 8, "attack_loss": sys.argv[4], "lr": 4e-3}),
}[kind]
config = given(default, path=data, size=32, size_from=0, precision="fp32", augment="none", workers=0,
               eval_every=100, **{"batch": 4, "epochs": 11, "lr": 1e-3} | flags)
sums = {}
reporter = SilentReporter()
reporter.progress = lambda look: sums.__setitem__((look.epoch, look.batch), look.loss * look.batch)
task.run(config, out, reporter=reporter)
if is_main_process():
    losses = [total - sums.get((epoch, batch - 1), 0.0) for (epoch, batch), total in sums.items()]
    (out / "losses.json").write_text(json.dumps(losses))
"""


def ran(*words: str, ranks: int = 0, cwd: Path) -> subprocess.CompletedProcess:
    """One python process, or so many under torchrun; one thread each."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks else []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "VOCCTL_CACHE": str(cwd / "cache")}
    return subprocess.run(
        [sys.executable, *torchrun, *words],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


QUICK = [("seg", "ce+dice"), ("cls", "bce"), ("adv", "cosine")]
LONG = [("probe", "bce"), ("seg", "focal"), ("cls", "asl"), ("adv", "ce")]


@pytest.mark.parametrize(("kind", "loss"), [*QUICK, *(LONG if os.environ.get("VOCCTL_LONG") else [])])
def test_the_losses_of_two_ranks_are_those_of_one_process(
    tiny_set: Path, runs: dict[str, Path], tmp_path: Path, kind: str, loss: str
) -> None:
    script = tmp_path / "steps.py"
    script.write_text(STEPS)
    losses = {}
    for ranks in (0, 2):
        words = [kind, str(tiny_set), str(tmp_path / f"run{ranks}"), loss, str(runs["seg"]), str(runs["cls"])]
        done = ran(str(script), *words, ranks=ranks, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        losses[ranks] = json.loads((tmp_path / f"run{ranks}" / "losses.json").read_text())
    assert len(losses[0]) >= 20
    assert losses[2][:20] == pytest.approx(losses[0][:20], abs=1e-3)
    assert sum(losses[0][:5]) > sum(losses[0][15:20])


def test_evaluation_is_shared_and_counts_each_image_once(runs: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("seg", "cls"):
        alone, shared = (
            ran("-m", "vocctl", "eval", str(runs[kind]), "--json", ranks=ranks, cwd=tmp_path) for ranks in (0, 2)
        )
        assert shared.returncode == 0, shared.stderr
        assert json.loads(shared.stdout) == json.loads(alone.stdout)


@pytest.mark.parametrize("kind", ["seg", "cls"])
def test_attacks_are_shared_and_give_the_same_images(runs: dict[str, Path], tmp_path: Path, kind: str) -> None:
    flags = ["--attack", "pgd-3x2,noise", "--eps", "16/255,4/255", "--json"]
    said, saved = {}, {}
    for ranks in (0, 2):
        words = ["eval", str(runs[kind]), *flags, "--save-adv", str(tmp_path / f"saved{ranks}")]
        done = ran("-m", "vocctl", *words, ranks=ranks, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said[ranks] = json.loads(done.stdout)
        images = sorted((tmp_path / f"saved{ranks}").rglob("*.png"))
        saved[ranks] = {path.relative_to(tmp_path / f"saved{ranks}"): path.read_bytes() for path in images}
    assert said[2] == said[0]
    assert saved[2] == saved[0]
    assert saved[0]


def test_an_error_of_one_rank_ends_all_with_one_message(tiny_set: Path, tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from vocctl.cli.app import main\n"
        "from vocctl.errors import RunError\n"
        "from vocctl.tasks import train_seg\n"
        "if os.environ['RANK'] == '1':\n"
        "    def broken(*args):\n"
        "        Path('failed').touch()\n"
        "        raise RunError('the disk of this rank is full: free space')\n"
        "    train_seg.SegmentationTask.validate = broken\n"
        "sys.exit(main(['train-seg', '--data', sys.argv[1], '--encoder', 'scratch', '--size', '32', '--size-from', '0',\n"
        "               '--batch', '4', '--epochs', '2', '--out', sys.argv[2]]))\n"
    )
    done = ran(str(script), str(tiny_set), str(tmp_path / "run"), ranks=2, cwd=tmp_path)
    taken = time.time() - (tmp_path / "failed").stat().st_mtime
    assert taken < 30, f"the other rank lived on for {taken:.0f} s"
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert said == ["error: rank 1 of 2: the disk of this rank is full: free space"]
    assert "Traceback" not in done.stderr.split("error:")[0]


def test_a_dpt_decoder_trains_on_two_ranks(tiny_set: Path, tmp_path: Path) -> None:
    """It leaves a part of the ViT without a gradient, which ranks that wait for all gradients stumble over."""
    words = "--encoder vit_tiny_patch16_224 --decoder dpt --weights none --size 32 --size-from 0 --batch 4 --epochs 1"
    words += f" --data {tiny_set} --out {tmp_path / 'run'}"
    done = ran("-m", "vocctl", "train-seg", *words.split(), ranks=2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "final.safetensors").exists()


@pytest.mark.parametrize(
    ("task", "default"),
    [(train_seg, TrainSegConfig()), (train_cls, TrainClsConfig()), (train_adv, TrainAdvConfig())],
)
def test_a_run_is_resumed_only_by_as_many_as_can_share_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: ModuleType, default: object
) -> None:
    create_run(tmp_path / "run", task.COMMAND, given(default, batch=4))
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="--batch 4 is split over 3 processes: use a multiple of 3"):
        task.resume(str(tmp_path / "run"))


def test_a_batch_that_cannot_be_shared_is_refused_once(tiny_set: Path, tmp_path: Path) -> None:
    words = ["train-seg", "--data", str(tiny_set), "--batch", "5", "--out", str(tmp_path / "run")]
    done = ran("-m", "vocctl", *words, ranks=2, cwd=tmp_path)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("error:")] == [
        "error: --batch 5 is split over 2 processes: use a multiple of 2"
    ]
    assert not (tmp_path / "run").exists()
