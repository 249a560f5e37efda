"""The files of shards: complete or not there, and the same when written again."""

import hashlib
import json
import pathlib

import numpy as np

from keras_basisprune.data.relevance.stored_features import write_rows
from keras_basisprune.utils.files import staged, write_text


class ShardFiles:
    """Features, names and scores of shards, in a folder that all workers share.

    Args:
        folder: The `pathlib.Path` of the folder.
        settings: What features depend on besides the data, as a string.
    """

    def __init__(self, folder, settings):
        self._folder, self._settings = pathlib.Path(folder), settings

    def write_features(self, shard, extractor):
        """Computes the features of a shard, unless they are there already.

        Args:
            shard: A `Shard`.
            extractor: A function that returns the `FeatureExtractor`.
        """
        key = f"{self._settings} {shard.stream.fingerprint()}"
        key = hashlib.sha256(key.encode()).hexdigest()
        if self._facts(shard).get("key") == key:
            return
        names, skipped = [], []

        def pairs():
            for arrays, own in shard.stream.read(skipped):
                names.extend(shard.prefix + name for name in own)
                yield arrays, own

        with staged(self._path(shard, "features.npy")) as stage:
            if not write_rows(stage, extractor()(pairs())):
                np.save(stage, np.empty((0, 1), np.float32))
        facts = {"key": key, "names": names, "skipped": skipped}
        write_text(self._path(shard, "json"), json.dumps(facts))

    def features(self, shard):
        """Returns float32 features of shape `(n, features)`, mapped from the file."""
        return np.load(self._path(shard, "features.npy"), mmap_mode="r")

    def names(self, shard):
        """Returns the lists of names, and of what could not be read."""
        facts = self._facts(shard)
        return facts["names"], facts["skipped"]

    def write_scores(self, shard, scores):
        """Writes float64 scores of shape `(n,)`."""
        with staged(self._path(shard, "scores.npy")) as stage:
            np.save(stage, scores)

    def scores(self, shard):
        """Returns the scores of a shard."""
        return np.load(self._path(shard, "scores.npy"))

    def _facts(self, shard) -> dict:
        try:
            text = self._path(shard, "json").read_text(encoding="utf-8")
            return json.loads(text)
        except (OSError, ValueError):
            return {}

    def _path(self, shard, suffix):
        return self._folder / f"{shard.number:06d}.{suffix}"
