"""Train a small segmenter from Python and print its scores: python examples/train_from_python.py DATA [EPOCHS]"""

import sys
from pathlib import Path

from vocctl.config import TrainSegConfig, given
from vocctl.tasks.evaluate_seg import evaluate
from vocctl.tasks.train_seg import run


def main() -> None:
    data, epochs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    config = given(TrainSegConfig(), path=data, size=96, epochs=epochs, loss="dice", skip=False)
    trained = run(config)
    scored = evaluate(str(trained.run), checkpoint="final")
    print(f"{trained.run}: mean IoU {100 * scored.scores.mean_iou:.1f} on {scored.images} images of {scored.split}")
    hardest = min(scored.image_iou, key=lambda image_id: scored.image_iou[image_id])
    print(f"hardest image: {hardest}, label map {Path(scored.folder) / 'labels' / hardest}.png")


if __name__ == "__main__":
    main()
