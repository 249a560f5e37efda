"""What all tests share: quiet TensorFlow, seeded random numbers, real digits."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests run side by side: threads of OpenBLAS that wait for each other on busy cores
# make a decomposition ten times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import digits_model  # noqa: E402
import keras  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(scope="session")
def digits():
    """The digits of scikit-learn at 8 x 8, pixels in [0, 255]."""
    return digits_model.load()


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def pytest_configure(config):
    # TensorFlow's variables do not know NumPy 2's `copy` yet.
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation:DeprecationWarning"
    )
