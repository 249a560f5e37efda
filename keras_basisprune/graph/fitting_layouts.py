"""Layouts of a distribution for variables of any size."""

import contextlib

import keras


@contextlib.contextmanager
def fitting_layouts():
    """Has new variables replicated that the layout of a distribution can't divide.

    The layouts of `keras.distribution.ModelParallel` are chosen by the paths of
    variables, for the sizes of the original: 5 of 12 channels are left, and four
    devices can't share them. As a context, within which layers are built.
    """
    found = keras.distribution.distribution()
    if not isinstance(found, keras.distribution.ModelParallel):
        yield
        return
    with _Fitting(found).scope():
        yield


class _Fitting(keras.distribution.ModelParallel):
    """The layouts of another distribution, where they fit."""

    def __init__(self, wanted):
        nothing = keras.distribution.LayoutMap(wanted.device_mesh)
        super().__init__(
            layout_map=nothing,
            batch_dim_name=wanted.batch_dim_name,
            auto_shard_dataset=wanted.auto_shard_dataset,
        )
        self._wanted = wanted

    def get_variable_layout(self, variable):
        layout, mesh = self._wanted.get_variable_layout(variable), self.device_mesh
        parts = dict(zip(mesh.axis_names, mesh.shape, strict=True))
        fits = [
            axis is None or not size % parts[axis]
            for size, axis in zip(variable.shape, layout.axes, strict=False)
        ]
        if all(fits) and len(layout.axes) <= len(variable.shape):
            return layout
        whole = [None] * len(variable.shape)
        return keras.distribution.TensorLayout(whole, mesh)

    def get_tensor_layout(self, path):
        return self._wanted.get_tensor_layout(path)
