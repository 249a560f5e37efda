"""The handwritten digits of scikit-learn."""

import numpy as np

DESCRIPTION = (
    "Optical Recognition of Handwritten Digits, test part (E. Alpaydin and C. Kaynak, "
    "1998; terms: https://archive.ics.uci.edu/dataset/80), as bundled with scikit-learn"
)


def read_digits():
    """Reads 1,797 scans of 8 x 8 pixels in ten classes; nothing is downloaded.

    Returns:
        `(splits, decode, class_names, description)`, see `readers`.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "spec='digits' needs scikit-learn, which is not installed. "
            'Run: pip install "keras-basisprune[demo]"'
        ) from error
    digits = load_digits()
    names = tuple(str(name) for name in digits.target_names)
    return {"train": (digits.images, digits.target)}, _decode, names, DESCRIPTION


def _decode(image):
    return image.astype(np.float32) * np.float32(255 / 16)  # 16 grey levels above 0
