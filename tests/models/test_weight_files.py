"""Weights files that other programs wrote, and files that are no weights: one line each, and nothing is unpickled."""

import argparse
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vocctl.errors import DataError
from vocctl.models.weight_files import read_tensors


def error_of(path: Path) -> str:
    """The message of the DataError that reading the file raises: one line, printable, without a warning beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError) as caught:
            read_tensors(path)
    message = str(caught.value)
    assert message.isprintable()
    assert "weights_only" not in message
    assert message.startswith(str(path))
    return message


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_code_in_a_pth_file_does_not_run(tmp_path, save):
    save({"weight": torch.zeros(1), "bomb": Bomb(tmp_path / "ran")}, tmp_path / "w.pth")
    message = error_of(tmp_path / "w.pth")
    assert "not unpickled" in message or "has no plain tensors" in message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [[1, 2], {"epoch": 3}, torch.zeros(2), {"state_dict": {"epoch": 3}}, {1: torch.zeros(2)}]
)
def test_a_pth_file_with_other_content(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(DataError, match="has other values than tensors by name"):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"text",
        b"PK\x03\x04",
        b"\x80\x02.",
        b"\x80\x04\x95" + b"\xff" * 20,
        bytes(range(256)),
        b"(",
        b"0",
        b"c\n\n.",
    ],
)
def test_files_that_are_not_weights(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="has no plain tensors") as caught:
        read_tensors(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_truncated_pth_file(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"weight": torch.zeros(1000)}, path)
    content = path.read_bytes()
    for length in (10, 500, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="has no plain tensors"):
            read_tensors(path)


def test_a_checkpoint_with_a_namespace(tmp_path):
    """As timm and Lightning save them."""
    torch.save({"state_dict": {"w": torch.zeros(1)}, "args": argparse.Namespace(lr=1)}, tmp_path / "w.pth")
    assert "holds Python objects (argparse.Namespace), which are not unpickled" in error_of(tmp_path / "w.pth")


def test_a_whole_model(tmp_path):
    torch.save(torch.nn.Linear(1, 1), tmp_path / "w.pth")
    assert "holds Python objects (torch.nn.modules.linear.Linear)" in error_of(tmp_path / "w.pth")


def test_a_torchscript_program(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "w.pt")
    assert "is a TorchScript program, which is not run" in error_of(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html>\n<html>404</html>", "is a web page, not weights"),
        (b"\n  <html><head>", "is a web page, not weights"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "is a web page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer"),
    ],
)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_file_of_another_kind(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    assert text in error_of(tmp_path / name)


def test_a_folder(tmp_path):
    assert "is a folder: name the .safetensors or .pth file in it" in error_of(tmp_path)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("save", [torch.save, save_file])
def test_the_suffix_does_not_matter(tmp_path, name, save):
    save({"w": torch.ones(3)}, tmp_path / name)
    assert torch.equal(read_tensors(tmp_path / name)["w"], torch.ones(3))


def test_a_table_that_contains_itself(tmp_path):
    content: dict = {"epoch": 3}
    content["model"] = content
    torch.save(content, tmp_path / "w.pth")
    assert "has other values than tensors by name" in error_of(tmp_path / "w.pth")


OTHERS = {"w": torch.zeros(3), "b": torch.zeros(3)}
WEIGHTS = {"w": torch.ones(3), "b": torch.ones(3)}


@pytest.mark.parametrize(
    "content",
    [
        {"ema": {"module": WEIGHTS, "decay": 0.9}, "model": OTHERS},  # averaged weights first
        {"ema": {"decay": 0.9}, "model": WEIGHTS},
        {"ema": None, "model": WEIGHTS},
        {"params_ema": WEIGHTS, "params": OTHERS},
        {
            "net": WEIGHTS,
            "rng_state": torch.zeros(4),
            "optimizer": {"state": {0: OTHERS}},
            "scaler": {"scale": torch.ones(1)},
        },
        {"generator": WEIGHTS},
    ],
)
def test_tables_around_the_weights(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    tensors = read_tensors(tmp_path / "w.pth")
    assert tensors.keys() == {"w", "b"}
    assert torch.equal(tensors["w"], torch.ones(3))


def test_several_tables_of_weights(tmp_path):
    torch.save({"generator": WEIGHTS, "discriminator": OTHERS}, tmp_path / "w.pth")
    assert "has several tables of weights (generator, discriminator): save one" in error_of(tmp_path / "w.pth")


@pytest.mark.parametrize("tensor", [torch.zeros(2, 2).to_sparse(), torch.empty(2, device="meta")])
def test_tensors_without_plain_values(tmp_path, tensor):
    torch.save({"w": tensor}, tmp_path / "w.pth")
    assert "sparse, quantized or empty tensors (w)" in error_of(tmp_path / "w.pth")


def test_numbers_of_eight_bits_become_float32(tmp_path):
    torch.save({"w": torch.tensor([0.5, 2.0]).to(torch.float8_e4m3fn)}, tmp_path / "w.pth")
    assert torch.equal(read_tensors(tmp_path / "w.pth")["w"], torch.tensor([0.5, 2.0]))
