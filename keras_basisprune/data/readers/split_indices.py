"""Divides images into splits."""

import numpy as np

SPLITS = ("train", "validation", "test")


def split_indices(labels, seed, validation_split, test_split, max_images):
    """Divides images into splits and puts each split into a stratified order.

    A validation or test split that the source lacks is taken from its train split,
    class by class, at least one image of each. The same seed takes the same images for
    any `max_images`, and the same test images for any `validation_split`. In every
    split, the first `m` images hold the classes in the split's proportions, each class
    once before any class twice, so that the first images are a stratified subset.

    Args:
        labels: dict of split name to int array of shape `(n,)`; has `"train"`.
        seed: int, 0 or more.
        validation_split: float in [0, 1), the share of train to take.
        test_split: float in [0, 1), the share of train to take.
        max_images: int, the most images per split, or `None`.

    Returns:
        dict of every split name to `(pool, indices)`: the source's split that holds its
        images, and their positions there.

    Raises:
        ValueError: a class has too few images to be divided.
    """
    shares = {"test": test_split, "validation": validation_split}
    shares = {split: share for split, share in shares.items() if split not in labels}
    carved = _carve(labels["train"], shares, np.random.default_rng([seed, 0]))
    result = {}
    for number, split in enumerate(SPLITS, start=1):
        pool = "train" if split in carved else split
        indices = carved.get(split, np.arange(len(labels[pool])))
        rng = np.random.default_rng([seed, number])
        order = _stratified_order(labels[pool][indices], rng)
        result[split] = pool, indices[order][:max_images]
    return result


def _carve(labels, shares, rng):
    parts = {split: [] for split in (*shares, "train")}
    for label in range(labels.max() + 1):
        left = rng.permutation(np.flatnonzero(labels == label))
        counts = {
            s: max(1, round(len(left) * share)) if share else 0
            for s, share in shares.items()
        }
        if len(left) <= sum(counts.values()):
            raise ValueError(
                "Expected enough images of every class to divide them by "
                f"{_arguments(shares)}. Received: {len(left)} images of the class "
                f"with label {label}. Add images, lower the shares, or pass 0 for a "
                "split that is not needed."
            )
        for split, count in counts.items():
            parts[split].append(left[:count])
            left = left[count:]
        parts["train"].append(left)
    return {split: np.concatenate(part) for split, part in parts.items()}


def _arguments(shares):
    return " and ".join(f"`{split}_split`={share}" for split, share in shares.items())


def _stratified_order(labels, rng):
    shuffled = rng.permutation(len(labels))
    classes = labels[shuffled]
    counts = np.bincount(classes)
    by_class = np.argsort(classes, kind="stable")
    rank = np.empty(len(labels), np.int64)  # number of earlier images of its class
    starts = np.cumsum(counts) - counts
    rank[by_class] = np.arange(len(labels)) - np.repeat(starts, counts)
    return shuffled[np.argsort(rank / counts[classes], kind="stable")]
