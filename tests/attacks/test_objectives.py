"""Goals as labels to leave and labels to reach."""

import torch

from vocctl.attacks.objectives import attack_goal, objective
from vocctl.labels import CLASSES, IGNORE, SEG_CLASSES

DOG = SEG_CLASSES.index("dog")


def test_aims_on_masks():
    masks = torch.tensor([[[0, DOG], [IGNORE, 3]]])
    assert attack_goal("untargeted", masks).away is masks
    assert (attack_goal("target:dog", masks).toward == DOG).all()
    hide = attack_goal("hide:dog", masks)
    assert hide.away.tolist() == [[[IGNORE, DOG], [IGNORE, IGNORE]]]
    assert hide.toward.tolist() == [[[0, IGNORE], [IGNORE, 3]]]


def test_aims_on_labels():
    labels = torch.zeros(2, 20, dtype=torch.long)
    dog = CLASSES.index("dog")
    labels[0, dog] = labels[1, 0] = 1
    target = attack_goal("target:dog", labels).toward
    assert target[:, dog].tolist() == [1, 1]
    assert target.sum() == 2
    hide = attack_goal("hide:dog", labels)
    assert (hide.away != IGNORE).nonzero().tolist() == [[0, dog]]  # the second image has none to hide
    assert hide.toward[1, 0] == 1
    assert hide.toward[0, dog] == IGNORE


def test_an_objective_goes_up_away_and_down_toward():
    masks = torch.tensor([[[0, DOG]]])
    sure = torch.full((1, 21, 1, 2), -5.0)
    sure[0, 0, 0, 0] = sure[0, DOG, 0, 1] = 5.0
    unsure = torch.zeros(1, 21, 1, 2)
    untargeted = objective("ce", attack_goal("untargeted", masks))
    assert untargeted(unsure, 0.0) > untargeted(sure, 0.0)
    hide = objective("ce", attack_goal("hide:dog", masks))
    hidden = sure.clone()
    hidden[0, DOG, 0, 1] = -5.0
    assert hide(hidden, 0.0) > hide(sure, 0.0)
    spoilt = hidden.clone()
    spoilt[0, 0, 0, 0] = -5.0  # the other pixel was to stay
    assert hide(spoilt, 0.0) < hide(hidden, 0.0)
