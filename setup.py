"""Packaging of keras_basisprune. Settings of the tools are in pyproject.toml."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"$',
    (HERE / "keras_basisprune" / "version.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)
README = HERE / "README.md"

REQUIRED = [
    # Keras 3.13 is the first with `model.export(format="litert")`; 3.12 refuses it.
    # `keras.models.clone_model(call_function=...)`, the other thing that we stand on,
    # came with Keras 3.3.
    "keras>=3.13",
    "tensorflow>=2.20",
    "ai-edge-litert",
    # No upper or higher lower bound: tensorflow-model-optimization needs absl-py 1.x.
    "absl-py>=1.2",
    "numpy>=1.26",
    "rich>=13",
    "pillow>=10",
    "tqdm>=4.60",
    # Confidence bounds of what is lost; 1.11 is the first for Python 3.12.
    "scipy>=1.11",
    # One search at a time in a folder: a lock that vanishes with its process.
    "filelock>=3.12",
    # The report of `compress`: one page, with charts.
    "jinja2>=3.1",
    "plotly>=6",
]

PLOTS = ["matplotlib>=3.8"]
DEMO = [*PLOTS, "scikit-learn>=1.4"]
# importlib_resources: imported by TFDS on every Python, declared for old ones only.
TFDS = ["tensorflow-datasets>=4.9.7", "importlib_resources"]
TFMOT = ["tensorflow-model-optimization>=0.8"]
DEV = [
    *DEMO,
    *TFMOT,  # its schedules are accepted as they are
    "jax>=0.4.30",  # the other backends' tests; PyTorch's run where it is installed
    "pytest>=8",
    "pytest-xdist>=3.5",
    "hypothesis>=6.100",
    "selenium>=4.20",  # the report in a browser; skipped where there is none
    "h5py>=3.11",  # benchmarks read weights files; Keras brings it along
    "tensorboard>=2.19",  # `keras.callbacks.TensorBoard`, and reading what it wrote
    "ruff>=0.17,<0.18",  # formatting changes from one minor version to the next
]

setup(
    name="keras-basisprune",
    version=VERSION,
    description="Small networks from pre-trained Keras models by basis pruning.",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["keras_basisprune", "keras_basisprune.*"]),
    package_data={"keras_basisprune.report": ["*.j2"]},
    install_requires=REQUIRED,
    extras_require={
        "plots": PLOTS,
        "demo": DEMO,
        "tfds": TFDS,
        "tfmot": TFMOT,
        "dev": DEV,
        "all": [*DEV, *TFDS, *TFMOT],
    },
    entry_points={
        "console_scripts": ["keras-basisprune=keras_basisprune.cli:main"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
