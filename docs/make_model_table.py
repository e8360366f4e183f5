"""Write vocctl/config/models.csv: what `vocctl models` knows of timm's models, and of our own.

    python docs/make_model_table.py

It builds each of timm's models twice without its weights, which takes about 20 minutes. Run it for a new version of timm.
"""

import csv
from pathlib import Path

import torch

from vocctl.config.packaged import PACKAGED
from vocctl.errors import ConfigError
from vocctl.models.encoder import BUILD_ERRORS, feature_strides, is_plain_vit, vit_arguments
from vocctl.models.plain_cnn import PlainEncoder

import timm  # isort: skip  # after vocctl.models, which declares torchvision's missing operators

TABLE = Path(__file__).resolve().parents[1] / "vocctl" / "config" / "models.csv"
HEADS = ("name", "parameters", "strides", "input_size", "encoder", "weights", "tags")


def timm_row(name: str) -> tuple[str | int, ...]:
    """One row of the table, in the order of HEADS. Raises RuntimeError and others: timm cannot build the model."""
    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in timm.create_model(name, pretrained=False).parameters())
    try:
        strides = feature_strides(name)
    except ConfigError:
        strides = ()
    fixed = cfg is not None and cfg.fixed_input_size
    is_encoder = _takes_any_size(name) if is_plain_vit(name) else not fixed and len(set(strides)) == len(strides) > 0
    shown = sorted(set(strides))
    has_weights = cfg is not None and bool(cfg.hf_hub_id or cfg.url)
    weights = "packaged" if name in PACKAGED else "hub" if has_weights else "none"
    tags = [tagged.partition(".")[2] for tagged in timm.list_pretrained(f"{name}.*")]
    side = cfg.input_size[-1] if cfg is not None else 0
    return name, parameters, " ".join(map(str, shown)), side, int(is_encoder), weights, " ".join(filter(None, tags))


def _takes_any_size(name: str) -> bool:
    """Whether a plain ViT can be built as TimmEncoder builds it."""
    try:
        with torch.device("meta"):
            timm.create_model(name, features_only=True, pretrained=False, **vit_arguments(name))
    except BUILD_ERRORS:
        return False
    return True


def own_row() -> tuple[str | int, ...]:
    encoder = PlainEncoder()
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    return "scratch", parameters, " ".join(map(str, encoder.strides)), 0, 1, "none", ""


def main() -> None:
    rows = [own_row()]
    for name in timm.list_models():
        try:
            rows.append(timm_row(name))
        except Exception as error:
            print(f"{name} is left out: {type(error).__name__} {str(error)[:100]}")
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*HEADS, f"timm {timm.__version__}"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
