"""A data set that vocctl draws itself: the twenty VOC classes as vector drawings, in the VOC devkit's layout."""

from vocctl.data.shapes.dataset import draw_dataset

__all__ = ["draw_dataset"]
