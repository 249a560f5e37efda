"""Image classification data sets of TensorFlow Datasets."""

import difflib
import os
import socket
import urllib.parse
import urllib.request

import numpy as np

SPLITS = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
PORTS = {"http": 80, "https": 443, "ftp": 21}
PROBE_SECONDS = 5  # per host; TFDS itself gives up after more than three minutes
PROBED_HOSTS = 3


def read_tfds(name):
    """Reads a data set; downloads and prepares it first if necessary.

    Data sets are stored in the folder `TFDS_DATA_DIR` (environment variable), else in
    `~/tensorflow_datasets`. Images are held in memory as they are encoded on disk.
    A split whose labels are all -1 (hidden) counts as missing; the only split of a data
    set is used for training.

    Args:
        name: str, such as `"eurosat"`, `"eurosat/rgb"` or `"eurosat/rgb:2.0.0"`.

    Returns:
        `(splits, decode, class_names, description)`, see `readers`.

    Raises:
        ImportError: TensorFlow Datasets or a package of this data set is missing.
        OSError: the data set is not prepared and cannot be downloaded.
        ValueError: there is no such data set, or it holds no images with labels.
    """
    builder = prepared_builder(name, check=_keys)
    import tensorflow_datasets as tfds

    image, label = _keys(builder.info, name)
    names = tuple(str(n) for n in builder.info.features[label].names)
    splits = {}
    for split, stored in _stored_splits(builder.info.splits, name).items():
        items, labels = _read(tfds, builder, stored, image, label)
        if split == "train" or (labels != -1).any():
            splits[split] = items, labels
    licence = builder.info.redistribution_info.license or "no licence is stated"
    description = f"{builder.info.full_name} of TensorFlow Datasets; {licence}"
    feature = builder.info.features[image]
    return splits, lambda item: _decode(feature, item), names, description


def prepared_builder(name, check=None):
    """Returns the builder of a data set, which is downloaded and prepared if necessary.

    Args:
        name: str, such as `"eurosat"`, `"eurosat/rgb"` or `"eurosat/rgb:2.0.0"`.
        check: Called with the data set's `info` and `name` before it is prepared.

    Returns:
        A `tfds.core.DatasetBuilder`.

    Raises:
        ImportError: TensorFlow Datasets or a package of this data set is missing.
        OSError: the data set is not prepared and cannot be downloaded.
        ValueError: there is no such data set.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"spec='tfds:{name}' needs tensorflow-datasets, which is not installed. "
            'Run: pip install "keras-basisprune[tfds]"'
        ) from error
    builder = _builder(tfds, name)
    if check is not None:
        check(builder.info, name)
    if not builder.data_path.exists():
        _prepare(tfds, builder, name)
    return builder


def _builder(tfds, name):
    try:
        return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR") or None)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        close = difflib.get_close_matches(name.split("/")[0], known)
        raise ValueError(
            "Expected `spec` to name a data set that TensorFlow Datasets knows. "
            f"Received: spec='tfds:{name}'. Close names: {close}; all of them: "
            "https://www.tensorflow.org/datasets/catalog/overview"
        ) from error
    except (AssertionError, ValueError) as error:
        raise ValueError(
            "Expected `spec` to name a data set, configuration and version of "
            f"TensorFlow Datasets. Received: spec='tfds:{name}'. {error}"
        ) from error


def _prepare(tfds, builder, name):
    try:
        urls = list(builder.url_infos or {})
        silent = _silent_hosts(urls)
        if silent:
            raise ConnectionError(f"no answer from {', '.join(silent)}")
        config = tfds.download.DownloadConfig(try_download_gcs=False)
        builder.download_and_prepare(download_config=config)
    except ImportError as error:
        raise ImportError(
            f"Preparing spec='tfds:{name}' needs the package {error.name}, which is "
            f"not installed. Run: pip install {error.name}"
        ) from error
    except Exception as error:  # data sets raise all kinds of errors
        raise OSError(
            "Expected `spec` to name a data set that is prepared or can be downloaded. "
            f"Received: spec='tfds:{name}'. It is not in '{builder.data_dir}', and "
            f"downloading it failed: {error}. Where there is a network, run "
            'python -c "import tensorflow_datasets as tfds; '
            f"tfds.builder('{name}').download_and_prepare()\", copy the folder "
            f"~/tensorflow_datasets/{builder.name} into a folder here and set "
            "TFDS_DATA_DIR to that folder; or pass a folder of images per class or "
            "an .npz file."
        ) from error


def _silent_hosts(urls):
    """Returns the hosts (or proxies) that did not answer; empty if one did."""
    proxies, asked = urllib.request.getproxies(), []
    for url in urls:
        parts = urllib.parse.urlsplit(url)
        proxy = proxies.get(parts.scheme) or proxies.get("all")
        if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
            parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"//{proxy}")
        address = parts.hostname, parts.port or PORTS.get(parts.scheme, 80)
        if address in asked or address[0] is None:
            continue
        try:
            socket.create_connection(address, timeout=PROBE_SECONDS).close()
            return []
        except OSError:
            asked.append(address)
        if len(asked) == PROBED_HOSTS:
            break
    return [f"{host}:{port}" for host, port in asked]


def _keys(info, name):
    import tensorflow_datasets as tfds

    keys = info.supervised_keys or ("image", "label")
    kinds = tfds.features.Image, tfds.features.ClassLabel
    fits = len(keys) == 2 and all(
        key in info.features and isinstance(info.features[key], kind)
        for key, kind in zip(keys, kinds, strict=False)
    )
    if not fits or info.features[keys[0]].np_dtype not in (np.uint8, np.uint16):
        raise ValueError(
            "Expected `spec` to name a data set of images of 8 or 16 bits with class "
            f"labels. Received: spec='tfds:{name}' with the features "
            f"{', '.join(sorted(info.features))}. Pass a classification data set, or "
            "write its images into a folder per class."
        )
    return keys


def _stored_splits(stored, name):
    if len(stored) == 1:
        return {"train": next(iter(stored))}
    found = {}
    for split, choices in SPLITS.items():
        for choice in choices:
            if choice in stored and split not in found:
                found[split] = choice
    if "train" not in found:
        raise ValueError(
            "Expected `spec` to name a data set with a train split. Received: "
            f"spec='tfds:{name}' with {sorted(stored)}. Pass another data set."
        )
    return found


def _read(tfds, builder, split, image, label):
    dataset = builder.as_dataset(
        split=split, shuffle_files=False, decoders={image: tfds.decode.SkipDecoding()}
    )
    dataset = dataset.map(lambda example: (example[image], example[label]))
    items, labels = [], []
    for item, value in tfds.as_numpy(dataset):
        items.append(item)
        labels.append(value)
    return items, np.array(labels, np.int64)


def _decode(feature, item):
    image = np.asarray(feature.decode_example(item))
    return image if image.dtype == np.uint8 else image.astype(np.float32) / 257
