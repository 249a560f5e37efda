"""Arrays in any structure, as one array of samples."""

import keras


class Rows:
    """Arrays in any structure (a dict, a list), as one array of samples.

    Args:
        structure: What the model takes, NumPy arrays of the same length.
    """

    def __init__(self, structure):
        self.structure = structure

    def __len__(self):
        return len(keras.tree.flatten(self.structure)[0])

    def __getitem__(self, chosen):
        return keras.tree.map_structure(lambda array: array[chosen], self.structure)
