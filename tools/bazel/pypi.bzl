# Written by tools/write_build.py from the imports of the code: run `make build` after
# changing them. tests/build_test.py compares this file with the code.

LIBRARIES = [
    "absl_py",
    "ai_edge_litert",
    "apache_beam",
    "filelock",
    "h5py",
    "hypothesis",
    "jax",
    "jinja2",
    "keras",
    "keras_hub",
    "matplotlib",
    "mypy",
    "numpy",
    "pillow",
    "pytest",
    "rich",
    "scikit_learn",
    "scipy",
    "selenium",
    "tensorboard",
    "tensorflow",
    "tensorflow_datasets",
    "tf_keras",
    "tqdm",
]
