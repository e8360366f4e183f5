"""The examples run: each recipe trains, the Python script prints scores, the SLURM script starts or resumes a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vocctl.config import TrainSegConfig, given, read_toml

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.mark.parametrize("recipe", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_recipe_trains(recipe: Path, tiny: Path, tmp_path: Path) -> None:
    from vocctl.tasks.train_seg import run

    config = read_toml(TrainSegConfig(), recipe)
    assert config != TrainSegConfig()
    config = given(config, path=str(tiny), epochs=1, minutes=0.0, eval_every=1)
    small_config = given(config, encoder="scratch", widths=(8, 8, 8), size=32, batch=2)
    assert run(small_config, tmp_path / "run").best_epoch == 1


def test_python_script_prints_scores(tiny: Path, tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, str(EXAMPLES / "train_from_python.py"), str(tiny), "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "mean IoU" in process.stdout
    assert (tmp_path / "runs" / "seg").is_dir()


@pytest.mark.parametrize(("run_exists", "arguments"), [(False, "--data voc2009 --out"), (True, "--resume")])
def test_slurm_script_resumes_an_existing_run(tmp_path: Path, run_exists: bool, arguments: str) -> None:
    """scontrol and srun are replaced by scripts; srun prints its arguments. The run may have no checkpoint yet."""
    run = tmp_path / "run"
    if run_exists:
        run.mkdir()
        (run / "run.json").write_text("{}")
    for name, command in {"scontrol": "echo first-node", "srun": 'echo "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{command}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"JOB_ID": "7", "JOB_NODELIST": "two", "NNODES": "2", "GPUS_ON_NODE": "4"}
    process = subprocess.run(
        ["bash", str(EXAMPLES / "slurm.sh"), "--data", "voc2009"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUN": str(run)}
        | {f"SLURM_{name}": value for name, value in slurm.items()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.endswith(f"-m vocctl train-seg {arguments} {run}\n")
