"""Compares BUILD, which is Python syntax, with the files and imports of the code."""

import ast
import itertools
import pathlib
import re
import sys
import tomllib
from importlib import metadata

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNNER = "tools/pytest_main.py"


def read_build(text):
    """Returns `{name: (rule, arguments)}` of all targets with a name."""
    found = {}
    for statement in ast.parse(text).body:
        assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        given = {
            keyword.arg: ast.literal_eval(keyword.value)
            for keyword in statement.value.keywords
            if keyword.arg in ("name", "srcs", "deps")
        }
        if "name" not in given:
            continue
        name = given.pop("name")
        assert name not in found, f"{name} is in BUILD twice"
        found[name] = (statement.value.func.id, {"deps": [], **given})
    return found


BUILD = read_build((ROOT / "BUILD").read_text(encoding="utf-8"))


def sources_on_disk():
    """Returns `{target name: relative paths}` as the folders have it."""
    expected = {}
    for path in (ROOT / "keras_basisprune").glob("**/*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if len(parts) == 2:
            name = "keras_basisprune" if parts[1] == "__init__" else parts[1]
        else:
            name = "/".join(parts[1:-1])
        expected.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    for folder in ("benchmarks", "examples", "tools"):
        for path in (ROOT / folder).glob("*.py"):
            expected.setdefault(folder, set()).add(str(path.relative_to(ROOT)))
    for path in (ROOT / "tests").glob("*.py"):
        if path.name.endswith("_test.py"):
            expected[path.stem] = {f"tests/{path.name}", RUNNER}
        else:
            expected.setdefault("test_support", set()).add(f"tests/{path.name}")
    return expected


def file_of(dotted):
    """The file that a dotted name of this repository comes from, or None."""
    base = ROOT / dotted.replace(".", "/")
    if base.with_suffix(".py").is_file():
        return str(base.with_suffix(".py").relative_to(ROOT))
    if (base / "__init__.py").is_file():
        return str((base / "__init__.py").relative_to(ROOT))
    return None


def imports_of(source):
    """Returns the files of the repository and the other packages that are imported."""
    files, packages = set(), set()
    for node in ast.walk(ast.parse((ROOT / source).read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}:{node.lineno}: import by the full name"
            names = [(f"{node.module}.{a.name}", node.module) for a in node.names]
        for name, parent in names:
            local = file_of(name) or (parent and file_of(parent))
            if source.startswith("tests/"):
                root = name.split(".")[0]
                local = local or file_of(f"tests.{root}")
            if local:
                files.add(local)
            else:
                packages.add(name.split(".")[0])
    return files, packages - set(sys.stdlib_module_names)


def labels_of(package):
    """The labels that may stand for an import: the distributions that provide it."""
    distributions = metadata.packages_distributions().get(package, [package])
    return {"@pypi//" + re.sub(r"[-_.]+", "_", d).lower() for d in distributions}


def test_reads_build():
    text = 'load("x", "py_test")\npy_test(name = "a", srcs = ["b"], deps = [":c"])\n'
    assert read_build(text) == {"a": ("py_test", {"srcs": ["b"], "deps": [":c"]})}


def test_a_target_for_each_folder_module_and_test():
    written = {name: set(given["srcs"]) for name, (_, given) in BUILD.items()}
    assert written == sources_on_disk()
    assert "linalg" in written and "layers" in written and "build_test" in written


def test_tests_are_tests_and_the_rest_libraries():
    for name, (rule, _) in BUILD.items():
        assert rule == ("py_test" if name.endswith("_test") else "py_library"), name


@pytest.mark.parametrize("name", BUILD)
def test_dependencies_are_the_imports(name):
    written = BUILD[name][1]["deps"]
    assert len(written) == len(set(written))
    owner = {file: target for target in BUILD for file in BUILD[target][1]["srcs"]}
    owner[RUNNER] = "tools"
    wanted, packages = set(), set()
    for source in BUILD[name][1]["srcs"]:
        files, others = imports_of(source)
        wanted |= {f":{owner[file]}" for file in files}
        packages |= others
    if name.endswith("_test") and (ROOT / "tests" / "conftest.py").exists():
        wanted.add(":test_support")
    local = {label for label in written if label.startswith(":")}
    assert local == wanted - {f":{name}"}
    outside = set(written) - local
    for package in packages:
        match = outside & labels_of(package)
        assert len(match) == 1, f"{name} imports {package}, but has {written}"
    assert len(outside) == len(packages)


def test_libraries_state_what_pyproject_installs():
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
    for name, (_, given) in BUILD.items():
        needed = {label for label in given["deps"] if label.startswith("@pypi//")}
        assert needed <= stated, f"{name} needs what pyproject.toml does not state"
