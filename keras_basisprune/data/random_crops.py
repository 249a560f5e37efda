"""Random parts of images, enlarged and mirrored."""

import numpy as np

from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_numeric import check_numeric
from keras_basisprune.utils.check_whole import check_whole

_STRETCH = 4 / 3  # the most by which height and width of a crop differ


def random_crops(images, *, copies=1, least=0.35, flip=True, seed=0) -> np.ndarray:
    """Returns random crops of images, in the size of the images.

    For networks that are fitted or trained towards the outputs of another one
    (`compensate`, `convert`, `recover` with a teacher): these outputs are known for any
    image, also for one that a network was not fitted on and does not know by heart.

    Each crop shows `least` to all of the area, is up to a third wider or higher than
    the image, is enlarged by linear interpolation, and is mirrored left to right in
    half of the cases. Time and memory grow with the number of crops.

    Args:
        images: Array of shape `(n, height, width, channels)`.
        copies: Integer, the number of crops of each image.
        least: Float in (0, 1], the smallest share of the area.
        flip: Whether crops are mirrored.
        seed: Integer that determines the crops; `None` for NumPy's global random state,
            which `recover` sets in each epoch.

    Returns:
        An array of `copies * n` crops in the dtype of `images`, `n` of each round.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> augment = functools.partial(keras_basisprune.data.random_crops, seed=None)
    >>> config = keras_basisprune.Recovery(augment=augment)
    """
    images = check_numeric("images", np.asarray(images), "images of numbers")
    if images.ndim != 4 or not images.size:
        raise ValueError(
            "Expected `images` to be of shape (n, height, width, channels). Received: "
            f"images of shape {images.shape}. Pass one such array."
        )
    copies = check_whole("copies", copies, remedy="Start with 8.")
    least = check_number("least", least, "(0, 1]", remedy="Start with 0.35.")
    flip = check_flag("flip", flip)
    if seed is not None:
        seed = check_whole("seed", seed, 0, remedy="0 is as good as any.")
    state = np.random if seed is None else np.random.RandomState(seed)
    made = np.empty((copies * len(images), *images.shape[1:]), images.dtype)
    for place in range(len(made)):
        crop = _crop(images[place % len(images)], least, flip, state)
        made[place] = np.rint(crop) if images.dtype.kind in "iu" else crop
    return made


def _crop(image, least, flip, state):
    side = np.sqrt(state.uniform(least, 1.0))
    stretch = np.exp(state.uniform(-0.5, 0.5) * np.log(_STRETCH))
    shares = min(1.0, side * stretch), min(1.0, side / stretch)
    starts = state.uniform(size=2)
    mirrored = state.uniform() < 0.5
    for axis, (share, start) in enumerate(zip(shares, starts, strict=True)):
        image = _resized(image, axis, share, start)
    if flip and mirrored:
        image = image[:, ::-1]
    return image


def _resized(image, axis, share, start):
    """Enlarges a part of an image to the whole, along one axis, in float64."""
    size = image.shape[axis]
    places = start * (1 - share) * (size - 1) + share * np.arange(size)
    low = np.minimum(places.astype(int), max(size - 2, 0))
    high = np.minimum(low + 1, size - 1)
    shape = [1, 1, 1]
    shape[axis] = size
    weight = (places - low).reshape(shape)
    lower, upper = (np.take(image, x, axis).astype(np.float64) for x in (low, high))
    return lower + (upper - lower) * weight
