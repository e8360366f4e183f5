"""Report: a self-contained page that says what was trained, with a gallery of limited size; complete or absent."""

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

from vocctl.config import EvalOptions, TrainAdvConfig
from vocctl.errors import ConfigError, DataError
from vocctl.labels import IGNORE
from vocctl.reporting.gallery import gallery_cards, sample_gallery
from vocctl.reporting.segmenter_view import name_errors
from vocctl.runs.folder import create_run
from vocctl.runs.records import read_run
from vocctl.tasks.evaluate_cls import evaluate
from vocctl.tasks.report import report


def test_summary_scores_and_commands(trained, tmp_path: Path) -> None:
    page = report([str(trained.seg)], tmp_path / "report.html").read_text()
    assert "A unet segmenter with encoder scratch" in page
    assert "trained from random weights for 3 epochs on 12 images of tiny, loss ce+dice, seed 0" in page
    scores = json.loads((trained.seg / "eval" / "tiny-val" / "scores.json").read_text())
    assert f"{100 * scores['scores']['mean_iou']:.1f} %" in page
    assert f"vocctl eval {trained.seg} --checkpoint best --data" in page
    assert json.loads((trained.seg / "run.json").read_text())["versions"]["torch"] in page
    assert "TP / (TP + FP + FN)" in page


def test_eval_command_of_a_classifier(trained, tmp_path: Path) -> None:
    run = trained.cls.rename(tmp_path / "a run")
    evaluate([str(run)], EvalOptions(split="val", thresholds="per-class"))
    page = html.unescape(report([str(run)], tmp_path / "report.html").read_text())
    flags = f"--checkpoint best --thresholds per-class --data {trained.data}"
    assert f"vocctl eval '{run}' {flags}" in page


def test_page_has_no_outside_address(trained, tmp_path: Path) -> None:
    page = report([str(trained.seg), str(trained.cls)], tmp_path / "report.html").read_text()
    assert "default-src 'none'" in page
    addresses = re.findall(r"""(?:src|href)="([^"]*)\"""", page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"https?://|@import|url\(", page)


def test_gallery_images_decode(trained_once) -> None:
    cards = gallery_cards(read_run(str(trained_once.seg)), 200)
    assert len(cards) == 8
    for card in cards:
        assert [layer.name for layer in card.layers] == ["prediction", "ground truth", "errors"]
        for source in (card.image, *(layer.source for layer in card.layers)):
            with Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))) as image:
                assert (image.format, image.size) == ("WEBP", (32, 32))
    assert [card.layers for card in gallery_cards(read_run(str(trained_once.cls)), 3)] == [[]] * 3


def test_attack_adds_tables_figures_and_images(trained, attacked, tmp_path: Path) -> None:
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


def test_text_of_a_run_is_escaped(trained, tmp_path: Path) -> None:
    about = json.loads((trained.seg / "run.json").read_text())
    (trained.seg / "run.json").write_text(json.dumps(about | {"command": "vocctl <script>alert(1)</script>"}))
    page = report([str(trained.seg)], tmp_path / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_run_without_an_evaluation(trained, tmp_path: Path) -> None:
    shutil.rmtree(trained.seg / "eval")
    page = report([str(trained.seg)], tmp_path / "report.html").read_text()
    assert "Not evaluated yet" in page
    assert 'id="gallery"' not in page


def test_sample_gallery() -> None:
    ranked = [f"{rank}" for rank in range(500)]
    sample = sample_gallery(ranked, 200)
    assert len(set(sample)) == 200
    assert sample[:100] == ranked[:100]
    assert sample[-1] == "499"
    steps = np.diff([int(image_id) for image_id in sample[100:]])
    assert set(steps) <= {4, 5}
    assert sample_gallery(ranked[:7], 200) == ranked[:7]


def test_name_errors() -> None:
    true_labels = np.array([[0, 3, 3, IGNORE]])
    assert name_errors(true_labels, np.array([[0, 3, 3, 9]])) == ["mostly correct"]
    assert name_errors(true_labels, np.array([[0, 0, 3, 9]])) == ["false negative"]
    assert name_errors(true_labels, np.array([[5, 0, 6, 9]])) == ["false negative", "false positive", "wrong class"]


@pytest.mark.parametrize(("wrong", "errors"), [(4, ["mostly correct"]), (5, ["false negative"])])
def test_rare_errors_count_as_mostly_correct(wrong: int, errors: list[str]) -> None:
    true_labels, predicted_labels = np.full((10, 10), 3), np.full((10, 10), 3)
    predicted_labels.flat[:wrong] = 0  # of 100 object pixels; from 5 % on they are named
    assert name_errors(true_labels, predicted_labels) == errors


def test_errors_leave_no_page(trained, attacked, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--out takes an \.html file"):
        report([str(trained.seg)], tmp_path / "report.pdf")
    with pytest.raises(ConfigError, match="name a file in an existing folder"):
        report([str(trained.seg)], tmp_path / "nowhere" / "report.html")
    with pytest.raises(DataError, match="no run nothing"):
        report(["nothing"], tmp_path / "report.html")
    generator = create_run(tmp_path / "adv", "train-adv", TrainAdvConfig()).path
    with pytest.raises(
        DataError, match=f"is a run of train-adv.* --attack adv:{generator}`, then `vocctl report VICTIM`"
    ):
        report([str(trained.seg), str(generator)], tmp_path / "report.html")
    attacked(trained.seg)
    (trained.seg / "attacks" / "pgd" / "attack.json").write_text("{")
    with pytest.raises(DataError, match="attack again"):
        report([str(trained.seg)], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_report_of_other_runs_is_kept(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = ([str(trained.seg)], [str(trained.cls)], [str(trained.seg), str(trained.cls)])
    assert [report(names).name for names in runs] == ["report.html", "report-2.html", "report-3.html"]
    assert [report(names).name for names in runs] == ["report.html", "report-2.html", "report-3.html"]
    (tmp_path / "report.html").write_text("another page")
    assert report(runs[0]).name == "report-4.html"
