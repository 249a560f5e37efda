"""Writes BUILD from the imports of the code.

    python -m tools.write_build            # writes BUILD
    python -m tools.write_build --check    # only says whether it is up to date

One `py_library` for each folder of the package and for each module directly in it,
one for each folder of scripts, and one `py_test` for each test file. Their `deps` are
what the sources import, at the top of a file or inside a function.
"""

import argparse
import ast
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "keras_basisprune"
SCRIPTS = ("benchmarks", "examples", "tools")
RUNNER = "tools/pytest_main.py"

# Import names that differ from the name of the distribution.
DISTRIBUTIONS = {"absl": "absl_py", "PIL": "pillow", "sklearn": "scikit_learn"}

# Files that are read beside what is imported.
CODE = ["BUILD", *(f"{f}/**/*.py" for f in (PACKAGE, "tests", *SCRIPTS))]
DATA = {
    "build_test": CODE,
    "imports_test": CODE,
    "report": [f"{PACKAGE}/report/*.j2"],
}

HEADER = """\
# Written by tools/write_build.py from the imports of the code: run `make build` after
# changing them. tests/build_test.py compares this file with the code.
#
# `@pypi` is the hub that rules_python's `pip.parse` makes of the requirements that
# pyproject.toml states.

load("@rules_python//python:defs.bzl", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])
"""


def targets(root):
    """Maps the names of all targets to their Python files, as paths below `root`."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        found.setdefault(_library(root, path), []).append(path)
    for folder in SCRIPTS:
        if files := sorted((root / folder).glob("*.py")):
            found[folder] = files
    for path in sorted((root / "tests").glob("*.py")):
        name = path.stem if path.stem.endswith("_test") else "test_support"
        found.setdefault(name, []).append(path)
    return found


def dependencies(root, name, files):
    """Returns the sorted labels of what the files of target `name` import."""
    labels = set()
    for path in files:
        for module in _imported(path):
            labels.add(_label(root, path, module))
    if name.endswith("_test") and (root / "tests" / "conftest.py").exists():
        labels.add(":test_support")
    labels -= {None, f":{name}"}
    return sorted(labels, key=lambda label: (label.startswith("@"), label))


def build_text(root):
    """Returns the text that BUILD should have."""
    rules = []
    for name, files in targets(root).items():
        is_test = name.endswith("_test")
        if is_test:
            files = [*files, root / RUNNER]
        sources = [path.relative_to(root).as_posix() for path in files]
        arguments = {"name": name, "srcs": sources}
        if name == "test_support":
            arguments["testonly"] = True
        if is_test:
            arguments["args"] = sources[:1]
            arguments["data"] = ["pyproject.toml"]
            arguments["main"] = RUNNER
        arguments["deps"] = dependencies(root, name, files)
        rule = "py_test" if is_test else "py_library"
        rules.append(_rule(rule, arguments, DATA.get(name)))
    return HEADER + "".join(rules)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Writes BUILD from the imports.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(argv).check
    path, text = ROOT / "BUILD", build_text(ROOT)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        print("BUILD is up to date.")
        return 0
    if check:
        print("BUILD is out of date: run `make build`.", file=sys.stderr)
        return 1
    temporary = path.with_name("BUILD.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    print("BUILD was written.")
    return 0


def _library(root, path):
    """The target of a file of the package: its folder, or itself at the top."""
    inside = path.relative_to(root / PACKAGE)
    if len(inside.parts) > 1:
        return inside.parent.as_posix()
    return PACKAGE if inside.stem == "__init__" else inside.stem


def _imported(path):
    """Yields the dotted names that a file imports, `from a import b` as `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: import by the full name.")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _label(root, path, module):
    """The label of what provides a dotted name; None for the standard library."""
    first, *rest = module.split(".")
    if first == PACKAGE:
        return f":{_library(root, _module_file(root, first, rest))}"
    if first in SCRIPTS and (root / first).is_dir():
        return f":{first}"
    beside = path.parent / f"{first}.py"
    if path.parent == root / "tests" and (first == "tests" or beside.exists()):
        return f":{first}" if first.endswith("_test") else ":test_support"
    if first in sys.stdlib_module_names:
        return None
    return f"@pypi//{DISTRIBUTIONS.get(first, first)}"


def _module_file(root, first, rest):
    """The file of the longest part of a dotted name that is a module."""
    for count in range(len(rest), -1, -1):
        base = root.joinpath(first, *rest[:count])
        for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
            if path.exists():
                return path
    raise ValueError(f"There is no file for {'.'.join([first, *rest])}.")


def _rule(rule, arguments, patterns):
    """One call, formatted as buildifier does."""
    lines = [f"\n{rule}("]
    for key, value in arguments.items():
        if value == []:
            continue
        if isinstance(value, list):
            value = _list(value)
            if key == "data" and patterns:
                value += f" + glob({_list(patterns)})"
        else:
            value = f'"{value}"' if isinstance(value, str) else value
        lines.append(f"    {key} = {value},")
    return "\n".join([*lines, ")"]) + "\n"


def _list(items):
    if len(items) < 2:
        return "[" + "".join(f'"{item}"' for item in items) + "]"
    return "[\n" + "".join(f'        "{item}",\n' for item in items) + "    ]"


if __name__ == "__main__":
    sys.exit(main())
