"""A labelled corpus that every Python has: docstrings of installed packages.

They are read from the sources, nothing is imported. Each has two labels: which package
it is of, and whether it describes a class, a method or a function. Names of the
packages, which would give the first away, are left out.
"""

import ast
import importlib.util
import pathlib
import re

import numpy as np

PACKAGES = ("numpy", "scipy", "sklearn", "keras")
KINDS = ("class", "function", "method")
PAD, MASK, UNKNOWN, START = 0, 1, 2, 3
_FIRST = 4  # the first id of a word
_WORD = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]")
_LEAST = 8  # words of a docstring


def docstrings(package) -> list[tuple[str, str]]:
    """Pairs of a text and its kind, of all files of a package but tests, in order."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return []
    found, root = {}, pathlib.Path(spec.submodule_search_locations[0])
    for path in sorted(root.rglob("*.py")):
        if "tests" in path.parts or path.name.endswith("_test.py"):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):
            continue
        for text, kind in _of(tree, inside_class=False):
            found.setdefault(text, kind)  # copies of one text count once
    return list(found.items())


def _of(node, inside_class):
    for child in ast.iter_child_nodes(node):
        is_class = isinstance(child, ast.ClassDef)
        if is_class or isinstance(child, ast.FunctionDef):
            text = ast.get_docstring(child)
            if text:
                kind = "class" if is_class else "method" if inside_class else "function"
                yield text, kind
        yield from _of(child, is_class)


def words_of(text, hidden=()) -> list[str]:
    """Words, digits and signs of a text in lower case, without hidden words."""
    return [word for word in _WORD.findall(text.lower()) if word not in hidden]


def corpus(packages=PACKAGES, most=None, seed=0) -> dict:
    """Reads the docstrings of some packages, in a random order.

    Args:
        packages: Names of packages; those that are not installed are left out.
        most: Integer, the most texts of each package.
        seed: Integer, seed of the choice and the order.

    Returns:
        A dict of `texts` (lists of words), `package` and `kind` (integer arrays), and
        `packages` (the names that the first refers to).
    """
    rng, rows, names = np.random.default_rng(seed), [], []
    for name in packages:
        pairs = [(words_of(text, packages), kind) for text, kind in docstrings(name)]
        pairs = [pair for pair in pairs if len(pair[0]) >= _LEAST]
        if not pairs:
            continue
        chosen = rng.permutation(len(pairs))[:most]
        rows += [(pairs[i][0], len(names), KINDS.index(pairs[i][1])) for i in chosen]
        names.append(name)
    rows = [rows[i] for i in rng.permutation(len(rows))]
    texts, package, kind = zip(*rows, strict=True)
    return {
        "texts": list(texts),
        "package": np.array(package),
        "kind": np.array(kind),
        "packages": names,
    }


def in_disorder(texts, length, seed=0) -> tuple[list, np.ndarray]:
    """Shuffles the first words of about half of the texts.

    Args:
        texts: Lists of words.
        length: Integer, how many words of each are taken.
        seed: Integer.

    Returns:
        Lists of words, and an array of 1 for texts that are in order, else 0.
    """
    rng, found = np.random.default_rng(seed), []
    labels = rng.integers(0, 2, len(texts))
    for text, label in zip(texts, labels, strict=True):
        first = text[:length]
        order = range(len(first)) if label else rng.permutation(len(first))
        found.append([first[place] for place in order])
    return found, labels


def vocabulary(texts, size) -> dict[str, int]:
    """The ids of the most frequent words."""
    counts: dict[str, int] = {}
    for text in texts:
        for word in text:
            counts[word] = counts.get(word, 0) + 1
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: _FIRST + n for n, word in enumerate(ordered[: size - _FIRST])}


def encoded(texts, known, length) -> dict[str, np.ndarray]:
    """What a BERT takes: `token_ids`, `segment_ids` and `padding_mask`.

    Args:
        texts: Lists of words.
        known: As `vocabulary` returns it.
        length: Integer, ids of each text, the first of which is `START`.
    """
    ids = np.full((len(texts), length), PAD, "int32")
    for row, text in zip(ids, texts, strict=True):
        found = [START, *(known.get(word, UNKNOWN) for word in text)][:length]
        row[: len(found)] = found
    return inputs_of(ids)


def inputs_of(ids) -> dict[str, np.ndarray]:
    """The same, of an array of ids of shape `(n, length)`."""
    mask = (ids != PAD).astype("int32")
    return {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": mask}


def masked(ids, count, seed):
    """Hides words, to be told from the others.

    Returns:
        The ids with `MASK` at some places, the places `(n, count)`, the ids that were
        there, and weights, 0 where a text has too few words.
    """
    rng, ids = np.random.default_rng(seed), ids.copy()
    order = rng.random(ids.shape)
    order[ids < _FIRST] = 2.0  # padding, start and unknown words stay
    places = np.argsort(order, axis=1)[:, :count].astype("int32")
    rows = np.arange(len(ids))[:, None]
    hidden, weights = ids[rows, places], (order[rows, places] < 1.0).astype("float32")
    ids[rows, places] = np.where(weights > 0, MASK, hidden)
    return ids, places, hidden, weights
