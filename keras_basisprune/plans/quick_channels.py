"""Of several channel plans, the one that runs fastest on this machine."""

from collections.abc import Iterable, Sequence

import keras

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure import LatencyTable, predicted_latency
from keras_basisprune.plan import Plan
from keras_basisprune.surgery import alive_groups, prune
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.shown import shown

_ALIKE = 1.02  # times within 2 % are the same


def quick_channels(
    model: keras.Model, plans: Sequence[Plan], table: LatencyTable
) -> Plan:
    """Chooses the plan whose model is predicted to be fastest.

    A smaller number of channels can be slower than a larger one (docs/compress.md), so
    that plans of about the same cost differ in time. Each plan is carried out, and the
    times of the layers that it leaves are added up (`predicted_latency`). Of plans that
    take at most 2 % longer than the fastest, the one that keeps most groups of channels
    is taken, the first of them if several do.

    Each plan costs two copies of the model, and about a second for each kind and size
    of layer that is not in the table yet.

    Args:
        model: A Functional or Sequential `keras.Model` with known input sizes.
        plans: A list of `Plan`s for it, made by `select_channels` with several
            `ChannelLimits(round_to=...)`, say.
        table: A `LatencyTable`.

    Returns:
        One of `plans`.

    Raises:
        ValueError: If there is no plan, one does not fit the model, or sizes of the
            model's input are unknown.

    Example:

    >>> plans = [
    ...     select_channels(model, scores, 0.5, limits=ChannelLimits(round_to=step))
    ...     for step in (1, 4, 8)
    ... ]
    >>> plan = quick_channels(model, plans, LatencyTable("latency.json"))
    """
    remedy = "Make one with `select_channels`."
    check_kind("table", table, LatencyTable, "Make one: `LatencyTable()`.")
    several = isinstance(plans, Iterable) and not isinstance(plans, str)
    received = f"plans={shown(plans)}"
    plans = list(plans) if several else []
    if not plans:
        raise ValueError(
            "Expected `plans` to hold at least one `Plan`, in a list. Received: "
            f"{'an empty list' if several else received}. {remedy}"
        )
    for plan in plans:
        check_kind("plans", plan, Plan, remedy)
    traced = trace(model)
    channels, pairs = channel_map(traced), basis_pairs(traced)
    kept, times, known = [], [], {}
    for plan in plans:
        alive = alive_groups(traced, channels, plan, pairs)
        kept.append(int(alive.sum()))
        key = alive.tobytes()
        if key not in known:
            small = model if alive.all() else prune(model, plan, _traced=traced)
            known[key] = predicted_latency(small, table)
        times.append(known[key])
    limit = min(times) * _ALIKE
    alike = [at for at, time in enumerate(times) if time <= limit]
    return plans[max(alike, key=lambda at: kept[at])]
