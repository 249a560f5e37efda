"""Reads any form of data in a stable order, some samples at a time.

A stream has a `count` (`None` if unknown), `read(skipped)`, which yields pairs of a
list of arrays (one per input of the encoder) and a tuple of names (empty without
names), and `fingerprint()`, a string that tells contents apart or `None`. Streams that
have `part(start, stop)` can be divided; these can be pickled. `read` appends what could
not be read to the list `skipped`.
"""
