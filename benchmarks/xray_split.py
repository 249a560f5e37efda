"""Validation images of the chest X-rays: other patients, as far as files tell."""

import numpy as np

STRETCH, SHARE = 60, 7


def split(labels):
    """Positions of training and validation images: stretches, of each class."""
    train, validation = [], []
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        for number, start in enumerate(range(0, len(positions), STRETCH)):
            part = validation if number % SHARE == 3 else train
            part.append(positions[start : start + STRETCH])
    return np.concatenate(train), np.concatenate(validation)
