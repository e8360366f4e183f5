"""What every test may use: a tiny data set in the devkit's layout, a cache of its own, the shared images, a local Kaggle."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # networks this small are slower with more threads

import numpy as np
import pytest
from PIL import Image

from vocctl.cli.app import main
from vocctl.compat import declare_missing_ops
from vocctl.config import EvalOptions, TrainClsConfig, TrainSegConfig, given
from vocctl.data.images import write_mask
from vocctl.labels import CLASSES
from vocctl.runs.attacks import AttackExample, AttackExamples, AttackRow, write_attack

declare_missing_ops()  # torchmetrics and smp bring torchvision along

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """Checkpoints are not flushed to the disk: no test cuts the power, and the waits would be most of the suite's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOCCTL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images beside the project."""
    if not (SHARED / "voc-objects").is_dir():
        pytest.skip("../shared with its VOC images is not here")
    return SHARED


def draw_tiny(root: Path, *, train: int = 8, val: int = 4, side: int = 32) -> Path:
    """A devkit of side x side images: a square of class 1 or 2 in its own color on gray, with a border of 255.

    Images of even number hold an aeroplane, the others a bicycle, and the class lists say so.
    """
    devkit = root / "VOCdevkit" / "VOC2009"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "ImageSets/Main"):
        (devkit / folder).mkdir(parents=True)
    generator = np.random.default_rng(0)
    ids = [f"tiny_{number:03d}" for number in range(train + val)]
    for number, image_id in enumerate(ids):
        label = 1 + number % 2
        image = np.full((side, side, 3), 128, np.uint8)
        mask = np.zeros((side, side), np.uint8)
        top, left = generator.integers(2, side // 3, 2)
        mask[top - 1 : top + side // 2 + 1, left - 1 : left + side // 2 + 1] = 255
        mask[top : top + side // 2, left : left + side // 2] = label
        image[mask == label] = (220, 40, 40) if label == 1 else (40, 40, 220)
        Image.fromarray(image).save(devkit / "JPEGImages" / f"{image_id}.jpg", quality=95)
        write_mask(devkit / "SegmentationClass" / f"{image_id}.png", mask)
    lists = {"train": ids[:train], "val": ids[train:], "trainval": ids}
    for split, listed in lists.items():
        (devkit / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(listed) + "\n")
        (devkit / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(listed) + "\n")
        for label, name in enumerate(CLASSES, start=1):
            rows = [f"{image_id} {1 if 1 + ids.index(image_id) % 2 == label else -1:>2}\n" for image_id in listed]
            (devkit / "ImageSets" / "Main" / f"{name}_{split}.txt").write_text("".join(rows))
    return root


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return draw_tiny(tmp_path / "tiny")


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images, drawn once per session, for tests that only read them."""
    return draw_tiny(tmp_path_factory.mktemp("tiny") / "tiny")


def draw_noisy(root: Path, train: int = 20, val: int = 6) -> Path:
    """Images of 40 x 50 with a square of class 1 or 2 on coarse noise, so that no two look alike; without class lists."""
    devkit = root / "VOCdevkit" / "VOC2009"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (devkit / folder).mkdir(parents=True)
    generator = np.random.default_rng(0)
    ids = [f"noisy_{number:03d}" for number in range(train + val)]
    for number, image_id in enumerate(ids):
        label = 1 + number % 2
        image = generator.integers(60, 190, (4, 5, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
        mask = np.zeros((40, 50), np.uint8)
        mask[9:31, 9:31] = 255
        mask[10:30, 10:30] = label
        image[mask == label] = (220, 40, 40) if label == 1 else (40, 40, 220)
        Image.fromarray(image).save(devkit / "JPEGImages" / f"{image_id}.jpg", quality=95)
        write_mask(devkit / "SegmentationClass" / f"{image_id}.png", mask)
    for split, listed in {"train": ids[:train], "val": ids[train:]}.items():
        (devkit / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(listed) + "\n")
    return root


@pytest.fixture(scope="session")
def noisy_devkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_noisy(tmp_path_factory.mktemp("noisy") / "tree")


TOKEN = "KGAT_canary_7f3a91"  # may appear only in requests to Kaggle: in headers, and in the body of IntrospectToken


@dataclass
class LocalKaggle:
    """A local server with the methods of Kaggle's API that vocctl uses. A test sets its answers."""

    url: str = ""
    slug: str = "test-competition"
    token: str = TOKEN
    failures: dict[str, tuple[int, dict]] = field(default_factory=dict)  # method -> HTTP status and body
    limits: dict = field(default_factory=lambda: {"numToday": 1, "numTotal": 9, "numAllowedNow": 4})
    polls: list[dict] = field(
        default_factory=lambda: [{"status": "COMPLETE", "publicScore": "0.61234"}]
    )  # answers of ListSubmissions; the last one is repeated
    put_status: int = 200  # HTTP status of the upload
    archive: bytes = b""  # the competition's zip
    break_at: int | None = None  # bytes after which the first download is cut off
    calls: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)  # Range header of each download
    uploaded: bytes = b""
    submitted: dict = field(default_factory=dict)

    def answer(self, method: str, request: dict) -> tuple[int, dict]:
        self.calls.append(method)
        if method in self.failures:
            return self.failures[method]
        if method == "IntrospectToken":
            return 200, {"active": request["token"] == self.token, "username": "student"}
        if request.get("competitionName") != self.slug:
            return 404, {"code": 404, "message": "Not found"}
        if method == "GetSubmissionLimits":
            return 200, self.limits
        if method == "StartSubmissionUpload":
            return 200, {"token": "blob", "createUrl": f"{self.url}/upload?signature=canary_in_an_address"}
        if method == "CreateSubmission":
            self.submitted = request
            return 200, {"message": "Successfully submitted", "ref": 4711}
        if method == "ListSubmissions":
            poll = self.polls.pop(0) if len(self.polls) > 1 else self.polls[0]
            return 200, {"submissions": [{"ref": 4710, "status": "ERROR"}, {"ref": 4711, **poll}]}
        raise AssertionError(f"LocalKaggle has no method {method}")


class _Handler(BaseHTTPRequestHandler):
    kaggle: LocalKaggle

    def log_message(self, *args: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, status: int, body: dict) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self) -> None:
        method, request = self.path.rpartition("/")[2], json.loads(self._body())
        if (
            method == "DownloadDataFiles"
            and method not in self.kaggle.failures
            and request["competitionName"] == self.kaggle.slug
        ):
            self.send_response(302)
            self.send_header("Location", f"{self.kaggle.url}/files/{self.kaggle.slug}.zip")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._json(*self.kaggle.answer(method, request))

    def do_PUT(self) -> None:
        self.kaggle.uploaded = self._body()
        self._json(self.kaggle.put_status, {})

    def do_GET(self) -> None:
        data, byte_range = self.kaggle.archive, self.headers.get("Range")
        self.kaggle.ranges.append(byte_range)
        start = int(byte_range.removeprefix("bytes=").removesuffix("-")) if byte_range else 0
        self.send_response(206 if byte_range else 200)
        headers = {"Content-Length": str(len(data) - start), "Accept-Ranges": "bytes", "ETag": '"one"'}
        headers |= {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if byte_range else {}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        end, self.kaggle.break_at = self.kaggle.break_at or len(data), None
        self.wfile.write(data[start:end])
        self.close_connection = True


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalKaggle]:
    """A local Kaggle for the real client, with a token, an empty home folder and a short poll interval."""
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")  # read when the client is first imported
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    monkeypatch.setattr("vocctl.competition.kaggle.POLL_INTERVAL", 0.01)
    server = LocalKaggle()
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"kaggle": server}))
    server.url = f"http://127.0.0.1:{http.server_port}"
    import kagglesdk.kaggle_env as environment

    monkeypatch.setitem(environment._env_to_endpoint, environment.KaggleEnv.LOCAL, server.url)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    http.shutdown()
    http.server_close()


@dataclass(frozen=True)
class Trained:
    """A segmenter and a classifier that were trained for three epochs on a tiny data set and evaluated on its val images."""

    data: Path
    seg: Path
    cls: Path


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    from vocctl.tasks import evaluate_cls, evaluate_seg, train_cls, train_seg

    root = tmp_path_factory.mktemp("trained")
    data = draw_tiny(root / "tiny", train=12, val=8)
    small = {
        "path": str(data),
        "cache_dir": str(root / "cache"),
        "size": 32,
        "batch": 4,
        "epochs": 3,
        "precision": "fp32",
    }
    plain = {"size_from": 0, "lr": 0.003, "encoder_lr": 1.0, "ema": 0.0}
    seg = given(TrainSegConfig(), encoder="scratch", decoder="unet", widths=(8, 8, 8), **small, **plain)
    cls = given(TrainClsConfig(), model="scratch", **small, **plain)
    runs = Trained(data, train_seg.run(seg, root / "seg").run, train_cls.run(cls, root / "cls").run)
    evaluate_seg.evaluate(str(runs.seg), EvalOptions(split="val"))
    evaluate_cls.evaluate([str(runs.cls)], EvalOptions(split="val"))
    return runs


@pytest.fixture
def trained(trained_once: Trained, tmp_path: Path) -> Trained:
    """A copy of the two runs that a test may change."""
    for run in (trained_once.seg, trained_once.cls):
        shutil.copytree(run, tmp_path / run.name)
    return Trained(trained_once.data, tmp_path / "seg", tmp_path / "cls")


@pytest.fixture(scope="session")
def attacked() -> Callable[[Path], None]:
    """A function that adds the files of an attack evaluation to a run folder."""
    return _attacked


def _attacked(run: Path) -> None:
    """Write an attack evaluation with two example images: red is clean, green is adversarial."""
    folder = run / "attacks" / "pgd"
    folder.mkdir(parents=True)
    scores = {("clean", "0"): 0.75, ("pgd", "2/255"): 0.5, ("pgd", "8/255"): 0.125}
    rows = [AttackRow(attack, eps, {"mean_iou": score}, {}, {}) for (attack, eps), score in scores.items()]
    clean, adversarial = (np.full((32, 32, 3), color, np.uint8) for color in ((255, 0, 0), (0, 128, 0)))
    labels = np.full((32, 32), 15, np.uint8)
    examples = tuple(
        AttackExample(image_id, clean, adversarial, labels, labels, "linf 8/255")
        for image_id in ("tiny_012", "tiny_013")
    )
    settings = {"task": "train-seg", "metric": "mean_iou", "norm": "linf", "goal": "untargeted", "images": 4}
    write_attack(folder, settings, rows, AttackExamples("pgd", "8/255", examples))
    Image.new("RGB", (300, 200), "white").save(folder / "robustness.png")


SMALL = {
    "size": 32, "size_from": 0, "precision": "fp32", "batch": 4, "epochs": 30, "lr": 0.003, "encoder_lr": 1.0, "ema": 0.5,
    "eval_every": 30,
    "augment": "light",
}  # fmt: skip


@pytest.fixture(scope="session")
def attackable_runs(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For tests of attacks: a classifier and a segmenter that have learned the tiny squares, and "data", the squares."""
    root = tmp_path_factory.mktemp("attacked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOCCTL_CACHE", str(root / "cache"))
        from vocctl.tasks.train_cls import run as train_cls
        from vocctl.tasks.train_seg import run as train_seg

        train_cls(given(TrainClsConfig(), path=str(tiny_set), model="scratch", **SMALL), root / "cls")
        train_seg(
            given(
                TrainSegConfig(),
                path=str(tiny_set),
                encoder="scratch",
                decoder="unet",
                widths=(16, 16, 16),
                **SMALL | {"epochs": 60, "eval_every": 60},
            ),
            root / "seg",
        )
    return {"cls": root / "cls", "seg": root / "seg", "data": tiny_set}


CLS = ["--model", "scratch", "--size", "32", "--size-from", "0", "--batch", "8", "--epochs", "2", "--quiet"]
SEG = ["--encoder", "scratch", "--decoder", "unet", "--widths", "8,8,8", "--size", "32", "--size-from", "0",
       "--batch", "8", "--epochs", "2",
       "--quiet"]  # fmt: skip


@pytest.fixture(scope="session")
def _mock_competition(noisy_devkit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("workspace")
    before, cache = Path.cwd(), os.environ.get("VOCCTL_CACHE")
    os.environ["VOCCTL_CACHE"] = str(workspace / "cache")
    os.chdir(workspace)
    try:
        shutil.copytree(noisy_devkit, workspace / "data" / "tree")
        assert main(["download", "h02a5a", "--from", "data/tree", "--quiet"]) == 0
        assert main(["train-cls", "--data", "data/h02a5a", "--name", "one", *CLS]) == 0
        assert main(["train-seg", "--data", "data/h02a5a", "--name", "one", *SEG]) == 0
    finally:
        os.chdir(before)
        os.environ.pop("VOCCTL_CACHE") if cache is None else os.environ.update(VOCCTL_CACHE=cache)
    return workspace


@pytest.fixture
def workspace(_mock_competition: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of data/tree, data/h02a5a, runs/cls/one and runs/seg/one, as the working folder."""
    shutil.copytree(_mock_competition, tmp_path / "workspace")
    monkeypatch.chdir(tmp_path / "workspace")
    return tmp_path / "workspace"
