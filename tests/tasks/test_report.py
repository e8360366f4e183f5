"""The report: one file that holds all it shows, says what was trained, keeps to its limit, and is whole or not there."""

import base64
import html
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.config import TrainAdvConfig
from vocctl.errors import ConfigError, DataError
from vocctl.reporting.gallery import errors_in, gallery, sample_gallery
from vocctl.runs.folder import create_run
from vocctl.tasks.evaluate_cls import evaluate
from vocctl.tasks.report import report


def test_it_says_what_was_trained_and_how_to_repeat_it(trained, tmp_path: Path) -> None:
    page = report([str(trained.seg)], tmp_path / "report.html").read_text()
    assert "A unet over scratch" in page
    assert "trained from random weights for 3 epochs on 12 images of tiny, loss ce+dice, seed 0" in page
    scores = json.loads((trained.seg / "eval" / "tiny-val" / "scores.json").read_text())
    assert f"{100 * scores['scores']['mean_iou']:.1f} %" in page
    assert f"vocctl eval {trained.seg} --checkpoint best --data" in page
    assert json.loads((trained.seg / "run.json").read_text())["versions"]["torch"] in page
    assert "TP / (TP + FP + FN)" in page


def test_the_command_that_repeats_an_evaluation(trained, tmp_path: Path) -> None:
    run = trained.cls.rename(tmp_path / "a run")
    evaluate([str(run)], split="val", thresholds="per-class")
    page = html.unescape(report([str(run)], tmp_path / "report.html").read_text())
    asked = f"--checkpoint best --thresholds per-class --data {trained.data}"
    assert f"vocctl eval '{run}' {asked}" in page


def test_nothing_in_it_leads_outside(trained, tmp_path: Path) -> None:
    page = report([str(trained.seg), str(trained.cls)], tmp_path / "report.html").read_text()
    assert "default-src 'none'" in page
    addresses = re.findall(r"""(?:src|href)="([^"]*)\"""", page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"https?://|@import|url\(", page)


def test_every_picture_of_the_gallery_decodes(trained_once) -> None:
    from vocctl.runs.evaluations import read_run

    cards = gallery(read_run(str(trained_once.seg)), 200)
    assert len(cards) == 8
    for card in cards:
        assert [layer.name for layer in card.layers] == ["prediction", "truth", "errors"]
        for source in (card.image, *(layer.source for layer in card.layers)):
            with Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))) as image:
                assert (image.format, image.size) == ("WEBP", (32, 32))
    assert [card.layers for card in gallery(read_run(str(trained_once.cls)), 3)] == [[]] * 3


def test_an_attack_brings_its_tables_pictures_and_images(trained, attacked, tmp_path: Path) -> None:
    clean = report([str(trained.seg)], tmp_path / "clean.html").read_text()
    attacked(trained.seg)
    page = report([str(trained.seg)], tmp_path / "report.html").read_text()
    assert "Attack pgd: results" in page
    assert 'data-value="0.125"' in page
    assert "Attack pgd: robustness" in page
    assert page.count('data-kind="adversarial"') == 2
    assert "clean and adversarial" in page
    assert "clean and adversarial" not in clean
    assert page.count("data-kind=") == 10


def test_text_of_a_run_is_no_markup(trained, tmp_path: Path) -> None:
    about = json.loads((trained.seg / "run.json").read_text())
    (trained.seg / "run.json").write_text(json.dumps(about | {"command": "vocctl <script>alert(1)</script>"}))
    page = report([str(trained.seg)], tmp_path / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_run_that_was_not_evaluated(trained, tmp_path: Path) -> None:
    shutil.rmtree(trained.seg / "eval")
    page = report([str(trained.seg)], tmp_path / "report.html").read_text()
    assert "It has not been evaluated yet" in page
    assert 'id="gallery"' not in page


def test_the_gallerys_rule() -> None:
    ranked = [f"{n}" for n in range(500)]
    chosen = sample_gallery(ranked, 200)
    assert len(set(chosen)) == 200
    assert chosen[:100] == ranked[:100]
    assert chosen[-1] == "499"
    steps = np.diff([int(one) for one in chosen[100:]])
    assert set(steps) <= {4, 5}
    assert sample_gallery(ranked[:7], 200) == ranked[:7]


def test_errors_by_hand() -> None:
    truth = np.array([[0, 3, 3, 255]])
    assert errors_in(truth, np.array([[0, 3, 3, 9]])) == ["mostly right"]
    assert errors_in(truth, np.array([[0, 0, 3, 9]])) == ["object missed"]
    assert errors_in(truth, np.array([[5, 0, 6, 9]])) == ["object missed", "object invented", "class mistaken"]


def test_what_cannot_be_reported_is_refused(trained, attacked, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"-o takes an \.html file"):
        report([str(trained.seg)], tmp_path / "report.pdf")
    with pytest.raises(ConfigError, match="name a file in a folder that is there"):
        report([str(trained.seg)], tmp_path / "nowhere" / "report.html")
    with pytest.raises(DataError, match="no run nothing"):
        report(["nothing"], tmp_path / "report.html")
    adversary = create_run(tmp_path / "adv", "train-adv", TrainAdvConfig()).path
    with pytest.raises(DataError, match=f"is an adversary, .* --attack adv:{adversary}`, then `vocctl report TARGET`"):
        report([str(trained.seg), str(adversary)], tmp_path / "report.html")
    attacked(trained.seg)
    (trained.seg / "attacks" / "pgd" / "attack.json").write_text("{")
    with pytest.raises(DataError, match="attack again"):
        report([str(trained.seg)], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
