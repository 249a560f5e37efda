"""How far an int8 file is from the quantization-aware network that it was written from.

    python -m benchmarks.quantization_parity --network=MobileNetV2 --image_size=64
    python -m benchmarks.quantization_parity --network=MobileNet --alpha=0.25 \\
        --weights=mobilenet_0.25_224_imagenet.weights.h5 --data=some.npz

Without `--weights`, weights and images are random. `--notop` takes the features instead
of the classes. Prints the largest difference of an output, in steps of its scale, and
how often the largest output is the same: between Keras and the file on LiteRT's default
kernels (XNNPACK), and between these and LiteRT's other kernels.
"""

import pathlib
import tempfile

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp

_NETWORK = flags.DEFINE_string("network", "MobileNetV2", "Of `keras.applications`.")
_SIZE = flags.DEFINE_integer("image_size", 224, "Height and width, pixels.")
_ALPHA = flags.DEFINE_float("alpha", None, "Width of a MobileNet.")
_WEIGHTS = flags.DEFINE_string("weights", None, "A file of weights.")
_NOTOP = flags.DEFINE_bool("notop", False, "Whether the weights have no classes.")
_DATA = flags.DEFINE_string("data", None, "An .npz of `x_train`, with --weights.")
_FIT = flags.DEFINE_integer("fit", 80, "Images that ranges are measured on.")
_IMAGES = flags.DEFINE_integer("images", 80, "Images that are compared.")


def network() -> keras.Model:
    """Returns the float network; random weights vary as trained ones do."""
    size = _SIZE.value
    given = {"alpha": _ALPHA.value} if _ALPHA.value else {}
    given |= {"input_shape": (size, size, 3), "weights": None}
    if _NOTOP.value:
        given |= {"include_top": False, "pooling": "avg"}
    model = getattr(keras.applications, _NETWORK.value)(**given)
    if _WEIGHTS.value:
        model.load_weights(_WEIGHTS.value)
    return model


def images() -> np.ndarray:
    """Returns images in [-1, 1]; from [0, 255] for networks that scale them."""
    count, size = _FIT.value + _IMAGES.value, _SIZE.value
    if _DATA.value is None:
        shape = (count, size, size, 3)
        return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    with np.load(_DATA.value) as held:
        pixels = held["x_train"][:count].astype("float32")
    pixels = keras.ops.image.resize(pixels, (size, size))
    return np.round(keras.ops.convert_to_numpy(pixels)) / np.float32(127.5) - 1


def answers_of_other_kernels(path, images) -> np.ndarray:
    """Returns what LiteRT answers without XNNPACK, in integers."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    (made,) = interpreter.get_output_details()
    scale, zero = given["quantization"]
    found = []
    for image in images:
        places = np.clip(np.floor(image / scale + 0.501) + zero, -128, 127)
        interpreter.set_tensor(given["index"], places[None].astype("int8"))
        interpreter.invoke()
        found.append(interpreter.get_tensor(made["index"])[0])
    scale, zero = made["quantization"]
    return (np.array(found, "float32") - zero) * scale


def compared(name, one, other, scale):
    """Prints how far two answers are from each other."""
    steps = np.abs(one - other).max() / scale
    same = np.mean(one.argmax(-1) == other.argmax(-1))
    print(f"{name}: {steps:.1f} steps, same top-1 {same:.1%}")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    model, found = network(), images()
    fit, seen = found[: _FIT.value], found[_FIT.value :]
    rounded = kbp.quantize_aware(model, fit, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rounded.tflite"
        kbp.export_tflite(rounded, path, tolerance=None, samples=seen[:2])
        answers = kbp.export.predict_tflite(path, seen, verbose=0)
        others = answers_of_other_kernels(path, seen)
        scale, _ = Interpreter(str(path)).get_output_details()[0]["quantization"]
    wanted = rounded.predict(seen, batch_size=8, verbose=0)
    name = f"{_NETWORK.value}, {_SIZE.value} px"
    compared(f"{name}, Keras", wanted, answers, scale)
    compared(f"{name}, other kernels of LiteRT", others, answers, scale)


if __name__ == "__main__":
    app.run(main)
