"""Whether a call computes an output of the model."""


def makes_result(call, readers, results) -> bool:
    """Returns whether an output of a call is one of the model, or nearly so.

    Nearly: as it is, or after another call, such as the layer's own activation.

    Args:
        call: A `Call`.
        readers: Maps `id(tensor)` to the calls that read it, in the same trace.
        results: The `id`s of the model's outputs.
    """
    behind = readers.get(id(call.output_tensors[0]), ())
    made = (tensor for one in (call, *behind) for tensor in one.output_tensors)
    return any(id(tensor) in results for tensor in made)
