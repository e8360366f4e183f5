"""One line for a wrong command line: what is wrong, what was probably meant, and which help lists what there is.

typer has had several classes and texts for the same errors; what is read here is the same in all its versions since 0.15.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vocctl.config import did_you_mean

# names of other tools -> ours; a command has one of them or none
FLAG_SYNONYMS = {
    "--arch --architecture --backbone --model-name --model-type --net --network --encoder-name": "--encoder --model",
    "--model": "--encoder --run",
    "--encoder": "--model",
    "--head --decoder-name": "--decoder",
    "--pretrained --pretrained-weights --init --init-from --finetune --load": "--weights --checkpoint",
    "--freeze --freeze-backbone --frozen --linear-probe": "--freeze-encoder",
    "--learning-rate --base-lr --lr0 --initial-lr --init-lr --max-lr --blr --alpha": "--lr",
    "--backbone-lr --lr-backbone --lr-encoder --lr-mult --backbone-lr-mult": "--encoder-lr",
    "--llrd --layerwise-lr-decay --lr-decay": "--layer-decay",
    "--opt --optim --optimiser": "--optimizer",
    "--wd --decay --l2 --weight-penalty": "--weight-decay",
    "--scheduler --sched --lr-scheduler --lr-schedule --lr-scheduler-type --lr-policy": "--schedule",
    "--warmup-epochs --warmup-steps --warmup-ratio --warmup-iters --warm-up": "--warmup",
    "--clip-grad --grad-clip --clip --clip-grad-norm --grad-clip-norm --max-grad-norm --gradient-clip-val": "--clip-norm",
    "--grad-accum --grad-accum-steps --accum-iter --accum-steps --accumulation-steps --accumulate-grad-batches "
    "--gradient-accumulation-steps": "--accumulate",
    "--model-ema --ema-decay --ema-rate --use-ema": "--ema",
    "--epoch --n-epochs --num-epochs --max-epochs --nb-epochs --nepochs --train-epochs --num-train-epochs -e": "--epochs",
    "--max-time --time --time-limit --max-minutes": "--minutes",
    "--bs --batch-size --batchsize --train-batch-size --per-device-train-batch-size --samples-per-gpu -b": "--batch",
    "--num-workers --n-workers --nworkers --dataloader-num-workers --jobs --threads --num-threads -j": "--workers",
    "--img-size --imgsz --image-size --input-size --crop-size --img --resolution --train-crop-size": "--size",
    "--aug --augmentation --augmentations --augs --transforms --aa --auto-augment": "--augment",
    "--dataset --data-dir --data-path --data-root --data-folder --dataset-dir --dataset-path --dataset-root --root --root-dir "
    "--input --input-dir -d": "--data",
    "--split --val-set --test-split": "--split --val-split",
    "--train-set": "--train-split",
    "--val-fraction --val-size --val-ratio --val-frac --validation-split --valid-size --test-size": "--val",
    "--kfold --k-fold --k-folds --n-folds --num-folds --n-splits --cv": "--folds",
    "--criterion --loss-fn --loss-function --loss-type --objective": "--loss --attack-loss",
    "--class-weight --weighted-loss": "--class-weights --pos-weight",
    "--early-stopping --early-stop --early-stopping-patience": "--patience",
    "--metric --monitor-metric --best-metric": "--monitor",
    "--val-every --eval-interval --eval-freq --val-interval --validate-every --check-val-every-n-epoch": "--eval-every",
    "--save-interval --save-freq --checkpoint-every --save-steps": "--save-every",
    "--amp --mixed-precision --dtype --half --fp16 --bf16 --fp32 --float16 --bfloat16 --use-amp": "--precision",
    "--gpu --gpus --gpu-id --gpu-ids --cuda --use-cuda --no-cuda --cpu --accelerator --devices": "--device",
    "--torch-compile --torchcompile": "--compile",
    "--random-seed --random-state --manual-seed": "--seed",
    "--output --output-dir --output-folder --output-path --outdir --out-dir --save-dir --save-path --log-dir --logdir "
    "--work-dir --project --results-dir --output-file --dest -o": "--out",
    "--exp --exp-name --experiment --experiment-name --run-name --tag --run-id": "--name",
    "--cfg --conf --config-file --config-path -c": "--config",
    "--preset --profile": "--recipe",
    "--ckpt --ckpt-path --checkpoint --checkpoint-path --resume-from --resume-from-checkpoint --continue --restart --weights":
        "--checkpoint --resume --weights --run",
    "--silent --no-progress -s": "--quiet",
    "--cache --cache-folder --cache-path": "--cache-dir",
    "--epsilon --epsilons --max-eps --perturbation --budget": "--eps --adv-eps",
    "--adversarial --adv --adversarial-training --at": "--adv-train",
    "--victim --victims --targets --runs": "--target",
    "--attacks --attack-type --attack-name --method": "--attack",
    "--lam --penalty-weight": "--lambda",
    "--num-images --n-images --max-images --limit --max-samples --num-samples --subset -n": "--images",
    "--test-time-augmentation --augment-test --flip --multi-scale": "--tta",
    "--confidence --conf-thres --confidence-intervals --bootstrap": "--ci --thresholds",
    "--threshold --thresh": "--thresholds",
    "--plots --kinds --type --what --plot": "--kind",
    "--ext --filetype --file-format": "--format",
    "--no-upload --dryrun": "--dry-run",
    "--classifier --cls-run": "--cls",
    "--segmenter --seg-run": "--seg",
    "--msg -m": "--message",
    "--file-path --csv --upload": "--file",
    "--list --list-datasets": "--years",
    "--verify --validate --audit": "--check",
    "-v -V": "--version",
}  # fmt: skip
FLAGS_OF_OTHERS = {name: ours.split() for names, ours in FLAG_SYNONYMS.items() for name in names.split()}
COMMANDS_OF_OTHERS = {
    "train": "train-seg, train-cls or train-adv", "fit": "train-seg, train-cls or train-adv", "segment": "train-seg",
    "classify": "train-cls", "evaluate": "eval", "test": "eval", "val": "eval", "validate": "eval", "score": "eval",
    "attack": "eval RUN --attack NAME", "infer": "predict", "inference": "predict", "visualize": "plot", "show": "plot",
    "list": "runs", "ls": "runs", "version": "--version", "fetch": "download", "onnx": "export", "upload": "submit",
    "check": "download --check FOLDER", "resume": "train-seg --resume RUN", "completion": "--install-completion",
}  # fmt: skip


def usage_line(error: Exception, args: Sequence[str], commands: Mapping[str, Any]) -> str:
    """The message for an error of typer. args: what was typed. commands: typer's commands, by name."""
    commands, groups = _with_subcommands(commands)
    context = getattr(error, "ctx", None)
    is_before_command = context is not None and context.parent is None
    name = "" if is_before_command else _command_in(args, commands)
    help_command = f"vocctl {name} --help" if name else "vocctl --help"
    message = " ".join(getattr(error, "format_message", lambda: str(error))().split()).rstrip(".")
    if message.startswith("No such command"):
        if name in groups:
            return _unknown_command(message.split("'")[1], groups[name], f" of vocctl {name}", help_command)
        return _unknown_command(message.split("'")[1], commands, "", help_command)
    if flag := getattr(error, "option_name", ""):
        if needed := re.search(r"requires (\w+) arguments?", message):
            return f"{flag} needs {needed[1].replace('an', 'a')} value{'s'[: needed[1] != 'an']}: `{help_command}` describes it"
        if "does not take a value" in message:
            return f"{flag} takes no value: `{help_command}` describes it"
        typed = next((word for word in args if word.startswith(flag)), flag).partition("=")[0]
        return _unknown_flag(typed, name, commands)
    parameter = getattr(error, "param", None)
    if parameter is not None:
        is_option = parameter.param_type_name == "option"
        shown = max(parameter.opts, key=len) if is_option else parameter.metavar or parameter.name
        if message.startswith("Missing"):
            return f"{shown} is missing: `{help_command}` shows what vocctl {name} takes"
        return _wrong_value(shown, _typed_value(parameter.opts, args) if is_option else None, message)
    if extra := re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", message):
        return f"vocctl {name} does not take the argument {extra[1]}: `{help_command}` lists what it takes"
    return f"{message}: `{help_command}` lists the options"


def _with_subcommands(commands: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
    """All commands, those of a group too, under "study run"; and the commands of each group."""
    groups = {name: command.commands for name, command in commands.items() if hasattr(command, "commands")}
    return {**commands, **{f"{name} {sub}": group[sub] for name, group in groups.items() for sub in group}}, groups


def _command_in(args: Sequence[str], commands: Mapping[str, Any]) -> str:
    """The command that was typed: "study run" rather than "study"; "" if none was."""
    pairs = [f"{word} {after}" for word, after in itertools.pairwise(args)]
    return next((name for name in [*pairs, *args] if name in commands), "")


def _unknown_command(name: str, commands: Mapping[str, Any], group: str, help_command: str) -> str:
    meant = "" if group else COMMANDS_OF_OTHERS.get(name.lower())
    hint = f", did you mean {meant}?" if meant else did_you_mean(name, commands) or ":"
    return f"{name!r} is not a command{group}{hint} `{help_command}` lists them"


def _unknown_flag(typed: str, name: str, commands: Mapping[str, Any]) -> str:
    """typed: with its dashes, without its value. name: of the command; "": none was named."""
    flags = _flags_of(commands[name]) if name else ["--help", "--version", "--install-completion", "--show-completion"]
    if meant := _meant_flag(typed, flags):
        return f"no option {typed}, did you mean {meant}?"
    owners = [other for other, command in commands.items() if typed in _flags_of(command)]
    if owners and name:
        return (
            f"vocctl {name} has no option {typed}, which {', '.join(owners)} have: `vocctl {name} --help` lists its own"
        )
    if owners:
        return f"no option {typed} before the command: write it behind the command, as in `vocctl {owners[0]} {typed}`"
    if similar := did_you_mean(typed, flags):
        return f"no option {typed}{similar}"
    return f"no option {typed}: `{f'vocctl {name}' if name else 'vocctl'} --help` lists the options"


def _meant_flag(typed: str, flags: Sequence[str]) -> str | None:
    """The flag that differs only in dashes, underscores or case, or that other tools call so; None: there is none."""
    long_name = "--" + typed.lstrip("-").replace("_", "-").lower()
    if long_name in flags:
        return long_name
    candidates = [*FLAGS_OF_OTHERS.get(typed, []), *FLAGS_OF_OTHERS.get(long_name, [])]
    if long_name.startswith("--no-"):
        positive = FLAGS_OF_OTHERS.get(long_name.replace("--no-", "--", 1), [])
        candidates += [*(flag.replace("--", "--no-", 1) for flag in positive), *positive]
    return next((flag for flag in candidates if flag in flags), None)


def _flags_of(command: Any) -> list[str]:
    return [flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)]


def _typed_value(flags: Sequence[str], args: Sequence[str]) -> str | None:
    """The last value that was typed for an option. None: it does not stand behind its flag, as in -oFILE."""
    values = [after for word, after in itertools.pairwise(args) if word in flags]
    values += [word.partition("=")[2] for word in args if "=" in word and word.partition("=")[0] in flags]
    return values[-1] if values else None


def _wrong_value(shown: str, value: str | None, message: str) -> str:
    got = "" if value is None else f", got {value!r}"
    if choice := re.search(r"'([^']*)' is not one of (.*)$", message):
        choices = choice[2].replace("'", "").split(", ")
        return f"{shown} is one of {', '.join(choices)}; got {choice[1]!r}{did_you_mean(choice[1], choices)}"
    if "valid integer" in message:
        return f"{shown} takes a whole number{got}"
    if "valid number" in message or "valid float" in message:
        return f"{shown} takes a number{got}"
    reason = re.sub(r"^Invalid value for .*?: ", "", message)
    if reason.startswith("Input should be "):
        return f"{shown} must be {reason.removeprefix('Input should be ')}{got}"
    return f"{shown}: {reason}"
