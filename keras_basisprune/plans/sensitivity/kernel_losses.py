"""What a network's outputs lose as the kernel of one layer after the other changes."""

from tqdm.auto import tqdm

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.trace import trace
from keras_basisprune.plans.sensitivity._judged_network import (
    JudgedNetwork,
    restored,
    working_copy,
)


def kernel_losses(model, data, change, verbose=False) -> dict[str, float]:
    """Measures what the outputs lose as the kernel of each layer alone changes.

    The loss is that of `sensitivity`. Time is that of half a pass of the samples per
    layer, on average.

    Args:
        model: A `keras.Model`, which is folded and not changed.
        data: Unlabelled samples, in any form.
        change: A function of a layer that returns its new kernel, an array; `None` for
            a layer that is not of interest.
        verbose: Whether to show a progress bar.

    Returns:
        A dict from names of layers to losses, in order of execution.

    Raises:
        ValueError: If `data` does not fit the model, or outputs are not finite.
    """
    copy = working_copy(model)
    traced = trace(copy)
    batches = KeptBatches.of(model, data, samples_at_once(model))
    network, losses = JudgedNetwork(traced, None, batches), {}
    for position, call in enumerate(
        tqdm(traced.calls, unit="layer", disable=not verbose)
    ):
        kernel = None if call.op.name in losses else change(call.op)
        if kernel is None:
            continue
        network.advance(position)
        with restored([call.op.kernel]):
            call.op.kernel.assign(kernel)
            losses[call.op.name] = network.loss_from(position)
    return losses
