"""A wrong command line is answered with our flag or command, and with the help of the command that was typed."""

import pytest
import typer.main

from vocctl.cli.app import app, main
from vocctl.cli.usage import COMMANDS_OF_OTHERS, FLAGS_OF_OTHERS


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("train-seg --learning-rate 1", "no option --learning-rate, did you mean --lr?"),
        ("train-seg --batch-size 4", "did you mean --batch?"),
        ("train-cls --bs 4", "did you mean --batch?"),
        ("train-seg --optim sgd", "did you mean --optimizer?"),
        ("train-seg --n-epochs 4", "did you mean --epochs?"),
        ("train-seg --num_workers 4", "did you mean --workers?"),
        ("train-seg --output-dir x", "did you mean --out?"),
        ("train-seg --dataset x", "did you mean --data?"),
        ("train-seg --model-name x", "did you mean --encoder?"),
        ("train-cls --model-name x", "did you mean --model?"),
        ("train-seg --img-size 4", "did you mean --size?"),
        ("train-seg --loss_stride 4", "did you mean --loss-stride?"),
        ("train-seg -lr 4", "no option -lr, did you mean --lr?"),
        ("train-seg -epochs 4", "did you mean --epochs?"),
        ("train-seg --no-freeze", "did you mean --no-freeze-encoder?"),
        ("train-seg --no-pretrained", "did you mean --weights?"),
        ("eval r --epsilon 1", "did you mean --eps?"),
        ("eval r --batch 4", "vocctl eval has no option --batch, which train-cls, train-seg, train-adv have"),
        ("--lr 3 train-seg", "no option --lr before the command"),
        ("train-seg --xyzzy", "`vocctl train-seg --help` lists the options"),
        ("--xyzzy", "`vocctl --help` lists the options"),
        ("train", "did you mean train-seg, train-cls or train-adv?"),
        ("test", "did you mean eval?"),
        ("xyzzy", "'xyzzy' is not a command: `vocctl --help` lists them"),
        ("help xyzzy", "'xyzzy' is not a command"),
        ("train-seg --lr x", "--lr takes a number, got 'x'"),
        ("train-seg --lr=x", "--lr takes a number, got 'x'"),
        ("train-seg --epochs 1.5", "--epochs takes a whole number, got '1.5'"),
        ("train-seg --lr", "--lr needs a value: `vocctl train-seg --help`"),
        ("train-seg --quiet=1", "--quiet takes no value"),
        ("submit --merge a", "--merge needs 2 values"),
        ("train-seg extra", "vocctl train-seg does not take the argument extra"),
        ("predict a.jpg", "--run is missing: `vocctl predict --help`"),
        ("eval", "RUN... is missing: `vocctl eval --help`"),
    ],
)
def test_wrong_command_lines(capsys: pytest.CaptureFixture[str], line: str, text: str) -> None:
    assert main(line.split()) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert text in printed


def test_synonyms_lead_to_flags_and_commands_that_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    parameters = [parameter for command in commands.values() for parameter in command.params]
    flags = {flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)}
    assert {ours for names in FLAGS_OF_OTHERS.values() for ours in names} - flags == {"--version"}
    words = {text.replace(",", " ").split()[0] for text in COMMANDS_OF_OTHERS.values()}
    assert words - commands.keys() == {"--version", "--install-completion"}


def test_a_command_without_arguments_and_help_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    printed = {}
    for line in ("", "--help", "-h", "help", "train-seg --help", "train-seg -h", "help train-seg"):
        assert main(line.split()) == 0
        printed[line] = capsys.readouterr().out
    assert "train-adv" in printed[""]
    assert printed[""] == printed["--help"] == printed["-h"] == printed["help"]
    assert "--loss-stride" in printed["train-seg -h"]
    assert printed["train-seg --help"] == printed["train-seg -h"] == printed["help train-seg"]
