"""Train a small segmenter from Python and print its scores: python examples/train_from_python.py DATA [EPOCHS]"""

import sys

from vocctl.config import EvalOptions, TrainSegConfig, given
from vocctl.tasks.evaluate_seg import evaluate
from vocctl.tasks.train_seg import run


def main() -> None:
    data, epochs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    config = given(TrainSegConfig(), path=data, size=96, epochs=epochs, loss="dice", skip=False)
    result = run(config)
    evaluation = evaluate(str(result.run), EvalOptions(checkpoint="final"))
    info = evaluation.info
    print(f"{result.run}: mean IoU {100 * evaluation.main_score:.1f} on {info.num_images} images of {info.split}")
    worst = evaluation.worst_first()[0]
    print(f"worst image: {worst}, label map {info.folder / 'labels' / worst}.png")


if __name__ == "__main__":
    main()
