"""Holds the order of the rooms: imports run downward, or within a room without circles.

What begins with an underscore is used inside its folder only.
"""

import ast
import graphlib
import pathlib

import pytest

from tools.order import ORDER

PACKAGE = "keras_basisprune"
ROOT = pathlib.Path(__file__).resolve().parent.parent

FLOOR = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}

# What each of these may import beside the standard library and the package itself.
ONLY = {"version": set(), "utils": {"numpy"}, "linalg": {"numpy"}, "plan": {"numpy"}}

# TensorFlow and what brings it along.
TENSORFLOW = {
    "tensorflow",
    "tensorflow_datasets",
    "tensorflow_model_optimization",
    "tf_keras",
    "ai_edge_litert",
}
WITH_TENSORFLOW = ("export/", "data/", "measure/latency.py")


def modules(root):
    """Maps the dotted names of all modules below `root` to their files."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path, known):
    """Yields `(imported module, inside a function)` of one file."""
    pending = [(ast.parse(path.read_text(encoding="utf-8")), False)]
    while pending:
        node, inside = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: import by the full name"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield (name if name in known else node.module), inside
        inside |= isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        pending += [(child, inside) for child in ast.iter_child_nodes(node)]


def complaint(importer, imported, known):
    """Says what is wrong with one import inside the package, or returns None."""
    if imported not in known:
        return "there is no such module"
    if imported == PACKAGE:
        return "the package itself is above all rooms"
    if importer == PACKAGE:
        return None
    folder = imported.rpartition(".")[0]
    if imported.rpartition(".")[2].startswith("_"):
        inside = importer == folder or importer.startswith(f"{folder}.")
        if not inside:
            return f"private to {folder}"
    room, other = importer.split(".")[1], imported.split(".")[1]
    if other not in FLOOR:
        return f"`{other}` has no place in ORDER"
    if room != other and FLOOR[other] >= FLOOR[room]:
        return f"{other} is not below {room}"
    return None


def violations(root):
    """Returns one line for each import below `root` that breaks the order."""
    known = modules(root)
    found = []
    for name, path in known.items():
        room = [*name.split("."), PACKAGE][1]
        file = path.relative_to(root / PACKAGE).as_posix()
        if room not in FLOOR and name != PACKAGE:
            found.append(f"{file}: `{room}` has no place in ORDER")
            continue
        for imported, inside in imports(path, known):
            first = imported.split(".")[0]
            why = None
            if first == PACKAGE:
                why = complaint(name, imported, known)
            elif first in TENSORFLOW:
                if not file.startswith(WITH_TENSORFLOW):
                    why = "TensorFlow belongs in " + ", ".join(WITH_TENSORFLOW)
                elif not inside:
                    why = "TensorFlow is imported inside functions"
            if room in ONLY and first in ("keras", "numpy", *TENSORFLOW):
                why = why or (None if first in ONLY[room] else "not in this room")
            if why:
                found.append(f"{file}: {imported}: {why}")
    return found


def order(root):
    """All modules, those that are imported before those that import them.

    Raises `graphlib.CycleError` where imports run in a circle.
    """
    known = modules(root)
    graph = {
        name: {m for m, _ in imports(path, known) if m in known and m != PACKAGE}
        for name, path in known.items()
    }
    return list(graphlib.TopologicalSorter(graph).static_order())


def write(root, **sources):
    """Writes a package whose file `a__in__b` is `b.py` in folder `a`."""
    for name, text in {"__init__": "", **sources}.items():
        path = root.joinpath(PACKAGE, *name.split("__in__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_imports_run_downward():
    assert violations(ROOT) == []


def test_there_is_no_circle():
    found = order(ROOT)
    assert len(found) == len(modules(ROOT))
    assert found.index(f"{PACKAGE}.linalg") < found.index(f"{PACKAGE}.methods")


def test_a_circle_within_a_room_is_found(tmp_path):
    circle = {
        "methods__in__a": "from keras_basisprune.methods.b import x",
        "methods__in__b": "def f():\n    from keras_basisprune.methods import a",
    }
    write(tmp_path, **{"methods__in____init__": ""}, **circle)
    assert violations(tmp_path) == []
    with pytest.raises(graphlib.CycleError, match="methods.a"):
        order(tmp_path)


def test_every_folder_is_a_package():
    folders = {path.parent for path in (ROOT / PACKAGE).rglob("*.py")}
    assert len(folders) > 5
    assert [f.name for f in folders if not (f / "__init__.py").exists()] == []


def test_only_names_and_values_stand_beside_the_rooms():
    files = {path.name for path in (ROOT / PACKAGE).glob("*.py")}
    assert files == {"__init__.py", "api.py", "plan.py", "version.py"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("methods__in__convert", "from keras_basisprune.linalg import svd_basis"),
        ("methods__in__convert", "from keras_basisprune import linalg"),
        ("methods__in____init__", "from keras_basisprune.methods import other"),
        ("methods__in__convert", "from keras_basisprune.methods.other import x"),
        ("methods__in__convert", "from keras_basisprune.methods._tools import x"),
        ("methods__in__convert", "from keras_basisprune.methods.parts.part import x"),
        ("methods__in__p__in__b", "from keras_basisprune.methods._tools import x"),
        ("methods__in___b", "from keras_basisprune.methods.other import a"),
        ("export__in__tflite", "def f():\n    import tensorflow as tf"),
        ("measure__in__latency", "def f():\n    from tensorflow import lite"),
        ("plan", "import numpy as np\nimport json"),
        ("__init__", "from keras_basisprune.methods import other"),
    ],
)
def test_allows(tmp_path, file, text):
    files = {
        "linalg": "",
        "methods__in____init__": "",
        "methods__in__other": "",
        "methods__in___tools": "",
        "methods__in__parts__in__part": "",
    }
    assert violations(write(tmp_path, **{**files, file: text})) == []


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("linalg", "from keras_basisprune.methods import a", "methods is not below"),
        ("linalg", "import keras", "not in this room"),
        ("plan", "def f():\n    from keras import ops", "not in this room"),
        ("scores__in__a", "from keras_basisprune.methods.a import a", "not below"),
        ("search__in__b", "from keras_basisprune.methods._c import a", "private to"),
        ("methods__in__a", "from keras_basisprune.methods.q._d import x", "private to"),
        ("methods__in__b", "import keras_basisprune", "above all rooms"),
        ("methods__in__b", "import keras_basisprune.missing", "no such module"),
        ("attic", "", "no place in ORDER"),
        ("cli", "def f():\n    import tensorflow", "TensorFlow belongs in export/"),
        ("export__in__a", "import tensorflow as tf", "inside functions"),
    ],
)
def test_finds(tmp_path, file, text, why):
    files = {
        "methods__in____init__": "",
        "methods__in__a": "",
        "methods__in___c": "",
        "methods__in__q__in___d": "",
    }
    found = violations(write(tmp_path, **{**files, file: text}))
    assert len(found) == 1
    assert why in found[0]
