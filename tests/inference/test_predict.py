"""Probabilities and label maps of images at their original size."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vocctl.inference import predict
from vocctl.inference.predict import predict_label_probs, predict_labels, predict_probs

CPU = torch.device("cpu")


class Brightest(nn.Module):
    """Logits are the pixels: a pixel's class is its strongest channel."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Tensor] = []
        self.matrix = nn.Parameter(torch.eye(3))

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        self.inputs.append(images)
        return (self.matrix @ images.flatten(2)).reshape(images.shape)


def image(labels: list[list[int]]) -> Tensor:
    """(1, 3, H, W) uint8 whose channel of the label is 255."""
    return 255 * nn.functional.one_hot(torch.tensor(labels), 3).movedim(-1, 0)[None].to(torch.uint8)


def probs_of(batches, precision: str = "fp32", tta: str = "none", model: nn.Module | None = None):
    return predict_probs(model or Brightest().train(), batches, device=CPU, precision=precision, tta=tta)


def test_model_gets_pixels_in_0_to_1_and_probs_are_softmax():
    model = Brightest()
    ((indices, probs),) = probs_of([(torch.tensor([4]), image([[0, 2]]))], model=model)
    assert model.inputs[0].dtype == torch.float32
    assert (model.inputs[0].min(), model.inputs[0].max()) == (0, 1)
    assert indices.tolist() == [4]
    # logits 1, 0, 0: e / (e + 2)
    assert probs[0, :, 0, 0].tolist() == pytest.approx([np.e / (np.e + 2), 1 / (np.e + 2), 1 / (np.e + 2)])
    assert not probs.requires_grad


def test_under_bf16_probabilities_are_float32():
    model = Brightest()
    ((_, probs),) = probs_of([(torch.tensor([0]), image([[0, 2]]))], precision="bf16", model=model)
    assert probs.dtype == torch.float32
    assert probs.sum(dim=1).flatten().tolist() == pytest.approx([1, 1])


def test_labels_are_the_argmax_by_image_index():
    batches = [(torch.tensor([2]), image([[0, 1], [2, 0]])), (torch.tensor([0]), image([[1, 1]]))]
    labels = dict(predict_labels(probs_of(batches), [(1, 2), (9, 9), (2, 2)]))
    assert sorted(labels) == [0, 2]
    assert labels[2].tolist() == [[0, 1], [2, 0]]
    assert labels[0].tolist() == [[1, 1]]
    assert labels[0].dtype == np.uint8


def test_labels_have_the_original_size():
    images = torch.cat([image([[0, 0, 1, 1]] * 2), image([[2, 2, 2, 2]] * 2)])
    labels = dict(predict_labels(probs_of([(torch.tensor([0, 1]), images)]), [(4, 8), (3, 5)]))
    assert labels[0].tolist() == [[0] * 4 + [1] * 4] * 4
    assert labels[1].shape == (3, 5)
    assert (labels[1] == 2).all()


def test_large_image_has_the_same_labels(monkeypatch):
    probs = torch.rand(21, 9, 7, generator=torch.Generator().manual_seed(0))
    probs[5] = probs[3]  # of equal probabilities the first
    expected = predict.labels_at_size(probs, (50, 61))
    monkeypatch.setattr(predict, "MAX_RESIZED_PIXELS", 50 * 61 - 1)
    monkeypatch.setattr(predict, "argmax_labels", lambda probs: pytest.fail("all classes at once"))
    labels = predict.labels_at_size(probs, (50, 61))
    assert torch.equal(labels, expected)
    assert labels.unique().numel() > 15


def test_probabilities_are_upsampled_before_the_argmax():
    # two pixels, (.6, .4, 0) and (0, .4, .6): halfway between them class 1 is the largest, though it is the largest in neither
    probs = torch.tensor([[0.6, 0.4, 0.0], [0.0, 0.4, 0.6]]).T.reshape(1, 3, 1, 2)
    ((_, labels),) = predict_labels([(torch.tensor([0]), probs)], [(1, 10)])
    assert labels[0, 0] == 0
    assert labels[0, -1] == 2
    assert 1 in labels[0, 4:6]


def test_flip_changes_nothing_for_a_pixelwise_model():
    batches = [(torch.tensor([0]), image([[0, 1, 2, 2]]))]
    ((_, plain),), ((_, flipped),) = probs_of(batches), probs_of(batches, tta="flip")
    assert torch.allclose(plain, flipped)


def test_every_image_is_reported():
    progress = []
    images = torch.cat([image([[0, 1]])] * 3)
    list(
        predict_labels(
            probs_of([(torch.tensor([2, 0, 1]), images)]),
            [(1, 2)] * 3,
            lambda done, total: progress.append((done, total)),
        )
    )
    assert progress == [(1, 3), (2, 3), (3, 3)]


def test_label_maps_are_grouped_up_to_a_number_of_pixels(monkeypatch):
    monkeypatch.setattr(predict, "MAX_BUFFERED_PIXELS", 5)
    batches = [(torch.tensor([index]), image([[0, 1]])) for index in (2, 0, 1)]
    groups = list(predict.predict_label_groups(probs_of(batches), [(1, 2), (2, 2), (1, 4)]))
    assert [[index for index, _ in group] for group in groups] == [[2, 0], [1]]
    assert [labels.shape for _, labels in groups[0]] == [(1, 4), (1, 2)]


def test_label_probabilities_are_in_the_order_of_the_images():
    class MeanPixel(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean(dim=(2, 3))[:, :1]

    images = torch.tensor([0, 51, 102], dtype=torch.uint8)[:, None, None, None].expand(3, 3, 2, 2)  # 0, .2, .4
    batches = [(torch.tensor([1, 2]), images[1:]), (torch.tensor([0]), images[:1])]
    probs = predict_label_probs(MeanPixel(), batches, 3, device=CPU, precision="fp32")
    assert probs[:, 0] == pytest.approx(1 / (1 + np.exp([0, -0.2, -0.4])))
