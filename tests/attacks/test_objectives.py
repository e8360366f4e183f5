"""Goals become terms; the objective adds the loss of untargeted terms and subtracts that of targeted terms."""

import pytest
import torch

from vocctl.attacks.objectives import AttackObjective, attack_goal, progress_objective
from vocctl.labels import CLASSES, IGNORE, SEG_CLASSES

DOG = SEG_CLASSES.index("dog")


def test_goals_on_masks():
    masks = torch.tensor([[[0, DOG], [IGNORE, 3]]])
    (untargeted,) = attack_goal("untargeted", masks).terms
    assert untargeted.labels is masks
    assert not untargeted.targeted
    (target,) = attack_goal("target:dog", masks).terms
    assert (target.labels == DOG).all()
    assert target.targeted
    hidden, others = attack_goal("hide:dog", masks).terms
    assert hidden.labels.tolist() == [[[IGNORE, DOG], [IGNORE, IGNORE]]]
    assert others.labels.tolist() == [[[0, IGNORE], [IGNORE, 3]]]
    assert (hidden.targeted, others.targeted) == (False, True)


def test_goals_on_label_sets():
    labels = torch.zeros(2, 20, dtype=torch.long)
    dog = CLASSES.index("dog")
    labels[0, dog] = labels[1, 0] = 1
    (target,) = attack_goal("target:dog", labels).terms
    assert target.labels[:, dog].tolist() == [1, 1]
    assert target.labels.sum() == 2
    hidden, others = attack_goal("hide:dog", labels).terms
    assert (hidden.labels != IGNORE).nonzero().tolist() == [[0, dog]]  # the second image shows no dog
    assert others.labels[1, 0] == 1
    assert others.labels[0, dog] == IGNORE


def test_objective_rises_as_the_goal_is_reached():
    masks = torch.tensor([[[0, DOG]]])
    correct = torch.full((1, 21, 1, 2), -5.0)
    correct[0, 0, 0, 0] = correct[0, DOG, 0, 1] = 5.0
    undecided = torch.zeros(1, 21, 1, 2)
    untargeted = AttackObjective("ce", attack_goal("untargeted", masks))
    assert untargeted(undecided, 0.0) > untargeted(correct, 0.0)
    hide = AttackObjective("ce", attack_goal("hide:dog", masks))
    dog_hidden = correct.clone()
    dog_hidden[0, DOG, 0, 1] = -5.0
    assert hide(dog_hidden, 0.0) > hide(correct, 0.0)
    background_lost = dog_hidden.clone()
    background_lost[0, 0, 0, 0] = -5.0  # hide:dog should not change the other pixel
    assert hide(background_lost, 0.0) < hide(dog_hidden, 0.0)


def test_progress_rises_where_an_attack_succeeds():
    """CosPGD's own objective falls from a wrong pixel of p = .4 to one of p = .1: its iterates are compared by the errors."""
    masks = torch.tensor([[[0, 1]]])
    objective = AttackObjective("cospgd", attack_goal("untargeted", masks))
    one_wrong, both_wrong = (torch.tensor([[[[a, b]], [[5.0, 0.0]]]]) for a, b in ((6.0, 5.0), (-5.0, 9.0)))
    assert objective(both_wrong, 0.0) < objective(one_wrong, 0.0)
    progress = progress_objective(objective)
    assert (progress(one_wrong, 0.0).item(), progress(both_wrong, 0.0).item()) == (0.5, 1)


@pytest.mark.parametrize(
    ("loss", "goal", "expected"),
    [
        ("ce", "untargeted", "ce"),
        ("margin", "untargeted", "margin"),
        ("cospgd", "hide:dog", "ce"),
        ("segpgd", "target:dog", "ce"),
    ],
)
def test_progress_on_labels_is_the_loss_of_the_attack(loss, goal, expected):
    objective = AttackObjective(loss, attack_goal(goal, torch.ones(1, 20, dtype=torch.long)))
    assert progress_objective(objective) == AttackObjective(expected, objective.goal)


def test_progress_of_cospgd_on_labels_is_the_error_rate():
    progress = progress_objective(AttackObjective("cospgd", attack_goal("untargeted", torch.tensor([[1, 0, 0, 0]]))))
    assert progress(torch.tensor([[1.0, 3.0, 0.1, -9.0]]), 0.0).item() == 0.5
