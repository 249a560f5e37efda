"""The BUILD files: up to date, whole, free of circles, and true to the floors."""

import ast
import graphlib
import itertools
import pathlib
import re
import tomllib

import pytest

from tools import write_build
from tools.order import ORDER

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("keras_basisprune", "tests", "benchmarks", "examples", "tools")


def value(node):
    """A constant expression; what `glob` would find is left to `owned`."""
    if isinstance(node, ast.BinOp):
        return value(node.left) + value(node.right)
    if isinstance(node, ast.Call):
        return ["glob", *ast.literal_eval(node.args[0])]
    return ast.literal_eval(node)


def read(text, package):
    """Returns `{label: (rule, arguments)}` of all targets of one BUILD file."""
    found = {}
    for statement in ast.parse(text).body:
        call = statement.value
        given = {keyword.arg: value(keyword.value) for keyword in call.keywords}
        if "name" in given:
            label = f"//{package}:{given.pop('name')}"
            assert label not in found, f"{label} is there twice"
            found[label] = (call.func.id, given)
    return found


def whole(label, package):
    """A label in full: `//a/b` is `//a/b:b`, and `:c` is in this package."""
    if label.startswith(":"):
        return f"//{package}{label}"
    return label if ":" in label else f"{label}:{label.rpartition('/')[2]}"


@pytest.fixture(scope="module")
def targets():
    """All targets of the repository, as they are written."""
    paths = [path for top in FOLDERS for path in (ROOT / top).rglob("BUILD")]
    found = read((ROOT / "BUILD").read_text(encoding="utf-8"), "")
    for path in paths:
        package = path.parent.relative_to(ROOT).as_posix()
        found |= read(path.read_text(encoding="utf-8"), package)
    return found


def package_of(label):
    return label.removeprefix("//").partition(":")[0]


def dependencies(label, given):
    """Labels of targets in the repository that a target needs, in full."""
    named = [*given.get("deps", ()), *given.get("srcs", ())]
    return {
        whole(other, package_of(label))
        for other in named
        if other.startswith(("//", ":")) and not other.endswith(".py")
    }


def admitted(targets, group):
    """The package specifications of a package group and of all that it includes."""
    _, given = targets[group]
    found = set(given["packages"])
    for other in given.get("includes", ()):
        found |= admitted(targets, whole(other, package_of(group)))
    return found


def visible(targets, label, package):
    """Whether a target may be named in a package."""
    if package_of(label) == package:
        return True
    for rule in targets[label][1].get("visibility", ()):
        if rule == "//visibility:public" or rule == f"//{package}:__pkg__":
            return True
        if rule.endswith(":__pkg__"):
            continue
        for place in admitted(targets, whole(rule, "")):
            inside = place.removeprefix("//").removesuffix("/...")
            below = place.endswith("/...") and package.startswith(f"{inside}/")
            if package == inside or below:
                return True
    return False


def test_files_are_up_to_date(capsys):
    code = write_build.main(["--check"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert captured.out == "The BUILD files are up to date.\n"


def test_every_folder_has_one_and_every_file_is_in_a_target(targets):
    paths = [path for top in FOLDERS for path in (ROOT / top).rglob("*.py")]
    assert len(paths) > 300
    for path in paths:
        if path.parent.name == "peers":
            continue  # with libraries of their own, by their README
        package = path.parent.relative_to(ROOT).as_posix()
        assert (path.parent / "BUILD").exists(), package
        owners = [
            label
            for label, (_, given) in targets.items()
            if package_of(label) == package
            and not label.endswith(":files")
            and {path.name, "*.py"} & set(given.get("srcs", ()))
        ]
        assert len(owners) == 1, path


def test_folders_in_a_room_hand_it_their_files(targets):
    inner = [label for label in targets if label.endswith(":sources")]
    assert "//keras_basisprune/graph/rules:sources" in inner
    for label in inner:
        room = "/".join(package_of(label).split("/")[:2])
        _, given = targets[f"//{room}:{room.partition('/')[2]}"]
        assert label in given["srcs"]


def test_targets_exist_are_visible_and_run_in_no_circle(targets):
    graph = {}
    for label, (rule, given) in targets.items():
        if rule != "package_group":
            graph[label] = dependencies(label, given)
        for other in graph.get(label, ()):
            assert other in targets, f"{label} needs {other}"
            assert visible(targets, other, package_of(label)), (label, other)
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)


def test_visibility_states_the_floors(targets):
    floor = {room: i for i, rooms in enumerate(ORDER) for room in rooms}
    rooms = [room for room in floor if f"//keras_basisprune/{room}:{room}" in targets]
    assert {"linalg", "graph", "cli"} <= set(rooms)
    for room, other in itertools.permutations(rooms, 2):
        label = f"//keras_basisprune/{room}:{room}"
        found = visible(targets, label, f"keras_basisprune/{other}")
        assert found == (floor[other] > floor[room]), (room, other)
        assert visible(targets, label, "tests")


def test_libraries_state_what_pyproject_installs(targets):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    texts = [
        *project["dependencies"],
        *itertools.chain(*project["optional-dependencies"].values()),
    ]
    stated = {
        "@pypi//" + re.match(r"[\w-]+", text).group().replace("-", "_")
        for text in texts
    }
    assert {"@pypi//keras", "@pypi//ai_edge_litert", "@pypi//pytest"} <= stated
    for label, (_, given) in targets.items():
        needed = {dep for dep in given.get("deps", ()) if dep.startswith("@")}
        assert needed <= stated, f"{label} needs what pyproject.toml does not state"


def test_what_is_written_of_a_small_package(tmp_path):
    files = {
        "keras_basisprune/__init__.py": "from keras_basisprune.upper import a",
        "keras_basisprune/value.py": "import json",
        "keras_basisprune/lower/__init__.py": "",
        "keras_basisprune/lower/parts/part.py": "import numpy as np",
        "keras_basisprune/upper/__init__.py": (
            "def f():\n    import PIL.Image\n    from keras_basisprune.lower import b"
        ),
        "tests/upper_test.py": "import helper\nfrom keras_basisprune import upper",
        "tests/helper.py": "from keras_basisprune import value",
        "tools/pytest_main.py": "import pytest",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    texts = write_build.build_texts(tmp_path, [["value", "lower"], ["upper"]])
    found = {}
    for name, text in texts.items():
        if name.endswith("BUILD"):
            found |= read(text, name.removesuffix("BUILD").strip("/"))
    deps = {label: given.get("deps", []) for label, (_, given) in found.items()}
    assert deps["//keras_basisprune:keras_basisprune"] == ["//keras_basisprune/upper"]
    assert deps["//keras_basisprune:value"] == []
    assert deps["//keras_basisprune/lower:lower"] == ["@pypi//numpy"]
    assert deps["//keras_basisprune/upper:upper"] == [
        "//keras_basisprune/lower",
        "@pypi//pillow",
    ]
    assert deps["//tests:test_support"] == ["//keras_basisprune:value"]
    assert deps["//tests:upper_test"] == [
        "//keras_basisprune/upper",
        ":test_support",
        "//tools",
        "@pypi//pytest",
    ]
    assert visible(found, "//keras_basisprune/lower:lower", "keras_basisprune/upper")
    assert visible(found, "//keras_basisprune:value", "keras_basisprune/upper/inner")
    assert not visible(
        found, "//keras_basisprune/upper:upper", "keras_basisprune/lower"
    )
    inner = "//keras_basisprune/lower/parts:sources"
    assert visible(found, inner, "keras_basisprune/lower")
    assert not visible(found, inner, "keras_basisprune/upper")
