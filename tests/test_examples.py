"""The examples run: the recipe is a config that trains, the script prints its scores."""

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
