"""Ends a worker of Apache Beam, once, when it has written the features of a shard.

A worker that imports this module dies if the file that `DIES_ONCE` names is there.
"""

import os

from keras_basisprune.data.relevance.beam.shard_files import ShardFiles

_write_features = ShardFiles.write_features


def _write_and_die(self, shard, extractor):
    _write_features(self, shard, extractor)
    try:
        os.remove(os.environ["DIES_ONCE"])
    except FileNotFoundError:
        return
    os._exit(7)


ShardFiles.write_features = _write_and_die
