"""--compile: names of the weights and losses as without it, crops that grow, resuming, and one line where compiling fails."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._inductor.config
from safetensors.torch import load_file

from run_comparison import interrupt_after_epoch
from vocctl.cli.app import main
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.errors import Interrupted
from vocctl.tasks.train_adv import run as train_adv
from vocctl.tasks.train_cls import run as train_cls
from vocctl.tasks.train_seg import resume, run

COMPILER = os.environ.get("CXX", "g++")


@pytest.fixture(autouse=True)
def _forget_compiled_networks() -> None:
    torch._dynamo.reset()


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[torch.fx.GraphModule]:
    """The graphs that torch.compile captures. They run as they are: generating machine code would take long."""
    captured: list[torch.fx.GraphModule] = []

    def capture(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        captured.append(graph)
        return graph.forward

    torch_compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network: torch_compile(network, backend=capture))
    return captured


def tiny_config(data: Path, **flags: object) -> TrainSegConfig:
    small = {"encoder": "scratch", "widths": (8, 8, 8), "size": 32, "batch": 4, "precision": "fp32", "compile": True}
    return given(TrainSegConfig(), path=str(data), **(small | flags))


def last_record(run_folder: Path) -> dict[str, float]:
    return json.loads((run_folder / "metrics.jsonl").read_text().splitlines()[-1])


def compare_plain_and_compiled(tiny: Path, tmp_path: Path) -> None:
    """Check that runs with and without --compile have the same names of weights, and the same losses."""
    for name, compiles in (("plain", False), ("compiled", True)):
        # without dropout, whose random numbers differ when compiled
        run(tiny_config(tiny, decoder="linear", epochs=2, compile=compiles), tmp_path / name)
    plain, compiled = (load_file(tmp_path / name / "best.safetensors") for name in ("plain", "compiled"))
    assert compiled.keys() == plain.keys()
    for key in ("train_loss", "val_loss"):
        assert last_record(tmp_path / "compiled")[key] == pytest.approx(last_record(tmp_path / "plain")[key], abs=1e-3)


def test_weights_and_losses_of_a_captured_network(tiny: Path, tmp_path: Path, graphs: list) -> None:
    """As the test below, whose machine code takes a minute to generate."""
    compare_plain_and_compiled(tiny, tmp_path)
    assert graphs


@pytest.mark.skipif("VOCCTL_LONG" not in os.environ, reason="`make test-long` runs it")
@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"torch compiles with {COMPILER}, which is not installed")
def test_compiled_network_has_equal_names_and_losses(tiny: Path, tmp_path: Path) -> None:
    compare_plain_and_compiled(tiny, tmp_path)


def test_network_is_compiled_for_the_first_crop_size_and_then_for_all(tiny: Path, tmp_path: Path, graphs: list) -> None:
    """Without a moving average, validation runs the same weights: it does not compile them again."""
    run(tiny_config(tiny, size=160, size_from=32, epochs=5, ema=0.0), tmp_path / "run")  # crops of 32, 64, ... 160
    assert len(graphs) == 1 + 2  # the test whether torch can compile, and the network twice


def test_classifiers_and_generators_are_compiled(
    tiny_set: Path, attackable_runs: dict[str, Path], tmp_path: Path, graphs: list
) -> None:
    """The classifier's backbone is frozen in the first epoch."""
    small = {"path": str(tiny_set), "size": 32, "batch": 4, "precision": "fp32", "compile": True}
    train_cls(given(TrainClsConfig(), model="scratch", epochs=2, freeze_epochs=1, **small), tmp_path / "cls")
    assert len(graphs) == 1 + 2  # the test, and the network frozen and trained
    torch._dynamo.reset()
    train_adv(
        given(
            TrainAdvConfig(),
            target=(str(attackable_runs["seg"]),),
            generator="unet",
            width=8,
            depth=1,
            epochs=1,
            **small,
        ),
        tmp_path / "adv",
    )
    assert len(graphs) == 1 + 2 + 1 + 1  # the test again, and the generator


def test_resumed_run_is_compiled_again(tiny: Path, tmp_path: Path, graphs: list) -> None:
    run(tiny_config(tiny, epochs=3, compile=False), tmp_path / "plain")
    with pytest.raises(Interrupted, match="resume with"):
        run(tiny_config(tiny, epochs=3), tmp_path / "resumed", reporter=interrupt_after_epoch(1))
    num_graphs = len(graphs)
    torch._dynamo.reset()  # as in a new process
    resume(str(tmp_path / "resumed"))
    assert len(graphs) > num_graphs
    assert last_record(tmp_path / "resumed")["train_loss"] == pytest.approx(
        last_record(tmp_path / "plain")["train_loss"]
    )


@pytest.mark.filterwarnings("ignore:dynamo_pgo")
def test_missing_compiler_is_one_line_that_says_what_to_do(tiny: Path, tmp_path: Path, capsys) -> None:
    with torch._inductor.config.patch({"cpp.cxx": (None, "no-compiler"), "force_disable_caches": True}):
        assert main(["train-seg", "--data", str(tiny), "--out", str(tmp_path / "run"), "--compile"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: torch.compile fails here")
    assert "no-compiler" in line
    assert line.endswith("or omit --compile")
    assert not (tmp_path / "run").exists()


def test_network_that_cannot_be_compiled_is_one_line(tiny: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def fail(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        if len(inputs) > 1:  # not the test whether torch can compile
            raise NotImplementedError("an operator is missing")
        return graph.forward

    torch_compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network: torch_compile(network, backend=fail))
    flags = [
        "--encoder", "scratch", "--decoder", "unet", "--widths", "8,8,8", "--size", "32",
        "--epochs", "1", "--quiet", "--compile",
    ]  # fmt: skip
    assert main(["train-seg", "--data", str(tiny), "--out", str(tmp_path / "run"), *flags]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "an operator is missing" in line
    assert line.endswith("or omit --compile")
