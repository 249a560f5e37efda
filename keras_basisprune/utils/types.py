"""Types of arguments that many functions take, for annotations."""

import os
from typing import Any, TypeAlias

Path: TypeAlias = str | os.PathLike[str]

# What `keras.Model.fit` and `predict` take: arrays of any backend, lists or dicts of
# them, pairs with labels, `tf.data.Dataset`, `keras.utils.PyDataset`, a PyTorch
# `DataLoader`. They share no class that could be named without importing them.
Data: TypeAlias = Any

# `"auto"`, 0, 1 or 2, or a bool, as in Keras.
Verbose: TypeAlias = str | int
