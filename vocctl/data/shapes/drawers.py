"""The function of each class that draws a random object as a new sketch."""

from collections.abc import Callable

import numpy as np

from vocctl.data.shapes import birds, furniture, household, livestock, other_vehicles, people, pets, road_vehicles
from vocctl.data.shapes.sketch import Sketch

DRAWERS: dict[str, Callable[[np.random.Generator], Sketch]] = {
    "aeroplane": other_vehicles.aeroplane,
    "bicycle": road_vehicles.bicycle,
    "bird": birds.bird,
    "boat": other_vehicles.boat,
    "bottle": household.bottle,
    "bus": road_vehicles.bus,
    "car": road_vehicles.car,
    "cat": pets.cat,
    "chair": furniture.chair,
    "cow": livestock.cow,
    "diningtable": furniture.diningtable,
    "dog": pets.dog,
    "horse": livestock.horse,
    "motorbike": road_vehicles.motorbike,
    "person": people.person,
    "pottedplant": household.pottedplant,
    "sheep": livestock.sheep,
    "sofa": furniture.sofa,
    "train": other_vehicles.train,
    "tvmonitor": household.tvmonitor,
}
