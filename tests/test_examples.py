"""The examples run: the recipe is a config that trains, the script prints its scores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vocctl.config import TrainSegConfig, given, read_toml

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.mark.parametrize("recipe", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_a_recipe_trains(recipe: Path, tiny: Path, tmp_path: Path) -> None:
    from vocctl.tasks.train_seg import run

    config = read_toml(TrainSegConfig(), recipe)
    assert config != TrainSegConfig()
    config = given(config, path=str(tiny), epochs=1, minutes=0.0, eval_every=1)
    small = given(config, encoder="scratch", widths=(8, 8, 8), size=32, batch=2)
    assert run(small, tmp_path / "run").best_epoch == 1


def test_the_python_script_prints_its_scores(tiny: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "train_from_python.py"), str(tiny), "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mean IoU" in done.stdout
    assert (tmp_path / "runs" / "seg").is_dir()


@pytest.mark.parametrize(("there", "how"), [(False, "--data voc2009 --out"), (True, "--resume")])
def test_the_slurm_script_goes_on_with_a_run_that_was_begun(tmp_path: Path, there: bool, how: str) -> None:
    """With an srun that says what it was asked to start. The run may have been stopped before its first state."""
    run = tmp_path / "run"
    if there:
        run.mkdir()
        (run / "run.json").write_text("{}")
    for name, does in {"scontrol": "echo first-node", "srun": 'echo "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"JOB_ID": "7", "JOB_NODELIST": "two", "NNODES": "2", "GPUS_ON_NODE": "4"}
    done = subprocess.run(
        ["bash", str(EXAMPLES / "slurm.sh"), "--data", "voc2009"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUN": str(run)}
        | {f"SLURM_{name}": value for name, value in slurm.items()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith(f"-m vocctl train-seg {how} {run}\n")
