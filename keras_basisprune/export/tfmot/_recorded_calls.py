"""Reads a `tf_keras` model as a list of layer calls."""

import dataclasses
import functools
from typing import Any

import keras

from keras_basisprune.export.tfmot._packages import load_tf_keras


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A Functional `tf_keras` model as values.

    Attributes:
        inputs: Structure of its input tensors, of a copy of the model.
        calls: A list of `(layer, args, kwargs, outputs)` in execution order, with the
            model's own layers and tensors of the copy.
        outputs: Structure of the copy's output tensors.
    """

    inputs: Any
    calls: list
    outputs: Any


def recorded_calls(model) -> Recorded:
    """Reads a Functional or Sequential `tf_keras` model; nested models are one call.

    Every layer but the inputs is replaced, in a copy of the model, by one that notes
    how it is called. So only public names of `tf_keras` are needed.

    Args:
        model: A built `tf_keras.Model` that is not subclassed.
    """
    tf_keras = load_tf_keras()
    if isinstance(model, tf_keras.Sequential):
        outputs = model.outputs if len(model.outputs) > 1 else model.outputs[0]
        model = tf_keras.Model(model.inputs[0], outputs, name=model.name)
    calls = []
    recorder, nested = _recorder_classes()

    def noted(layer):
        return (nested if _has_an_input_layer(layer) else recorder)(layer, calls)

    copy = tf_keras.models.clone_model(model, clone_function=noted)
    needed = {id(tensor) for tensor in keras.tree.flatten(copy.output)}
    used = []
    for layer, args, kwargs, outputs in reversed(calls):
        if not needed.isdisjoint(map(id, keras.tree.flatten(outputs))):
            needed |= {id(tensor) for tensor in keras.tree.flatten((args, kwargs))}
            used.append((layer, args, kwargs, outputs))
    return Recorded(copy.input, used[::-1], copy.output)


def _has_an_input_layer(layer) -> bool:
    """Returns whether a layer is a model whose own input counts as its first call.

    `tf_keras` numbers the calls of the replacement as those of such a model if that is
    one, too; a Sequential that was built by its first call has no input layer.
    """
    tf_keras = load_tf_keras()
    if isinstance(layer, tf_keras.Sequential):
        first = layer.get_config()["layers"][:1]
        return bool(first) and first[0]["class_name"] == "InputLayer"
    return isinstance(layer, tf_keras.Model) and bool(getattr(layer, "inputs", None))


@functools.cache
def _recorder_classes():
    """Returns the classes of the replacements, made when `tf_keras` is imported.

    The first is for layers, the second for models with an input layer.
    """
    import tensorflow as tf

    class Recorder(load_tf_keras().layers.Layer):
        """Computes what a layer does, and notes the arguments of each call."""

        def __init__(self, layer, calls):
            super().__init__(name=layer.name, autocast=False)
            self.supports_masking = True
            self._held = lambda: (layer, calls)  # not tracked as its own

        def __call__(self, *args, **kwargs):
            self._given = frozenset(kwargs)
            outputs = super().__call__(*args, **kwargs)
            layer, calls = self._held()
            calls.append((layer, args, kwargs, outputs))
            return outputs

        @tf.autograph.experimental.do_not_convert
        def call(self, inputs, *args, **kwargs):
            # `tf_keras` adds `training` and `mask`, which the layer may not take.
            kwargs = {key: kwargs[key] for key in self._given & kwargs.keys()}
            return self._held()[0](inputs, *args, **kwargs)

    class RecordedModel(load_tf_keras().Model):
        """The same for a nested model, of whose layers it is made."""

        def __init__(self, layer, calls):
            several = isinstance(layer.outputs, list) and len(layer.outputs) > 1
            outputs = layer.output if several else layer.outputs[0]
            super().__init__(layer.input, outputs, name=layer.name)
            self._held = lambda: (layer, calls)

        def __call__(self, *args, **kwargs):
            outputs = super().__call__(*args, **kwargs)
            layer, calls = self._held()
            calls.append((layer, args, kwargs, outputs))
            return outputs

    return Recorder, RecordedModel
