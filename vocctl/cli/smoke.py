"""`--smoke` of the train commands: run the smoke test with the command's settings and print what it measured."""

from importlib import import_module
from pathlib import Path

from vocctl.cli import messages, tables
from vocctl.config import AttackConfig, EvalOptions, TrainAdvConfig, TrainClsConfig, TrainingConfig


def smoke_test(module: str, config: TrainingConfig, *, quiet: bool) -> None:
    """module: of the training task, train_seg, train_cls or train_adv."""
    from vocctl.tasks.smoke import smoke

    task = import_module(f"vocctl.tasks.{module}")
    result = smoke(
        config,  # type: ignore[type-var]
        run=task.run,
        resume=task.resume,
        evaluate=_evaluate,
        on_stage=lambda stage: messages.print_note(f"smoke test: {stage}", quiet=quiet),
    )
    tables.print_smoke_result(result)


def _evaluate(run: Path, config: TrainingConfig) -> None:
    if isinstance(config, TrainAdvConfig):
        from vocctl.tasks.attack import attack

        attack_config = AttackConfig(attack=(f"adv:{run}",), eps=(config.threat.eps,), norm=config.threat.norm)
        attack(config.attack_loss.target[:1], attack_config, EvalOptions(data=Path(config.data.path), split="val"))
    elif isinstance(config, TrainClsConfig):
        from vocctl.tasks import evaluate_cls

        evaluate_cls.evaluate([str(run)])
    else:
        from vocctl.tasks import evaluate_seg

        evaluate_seg.evaluate(str(run))
