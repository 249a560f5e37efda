"""Writes the BUILD files from the imports of the code.

    python -m tools.write_build            # writes them
    python -m tools.write_build --check    # only says whether they are up to date

Each folder has one. Each room of the package is one `py_library`, visible from the
floors above it (`tools/order.py`); folders inside a room hand it their files. Modules
directly in the package, folders of scripts and what tests share are one `py_library`
each, test files one `py_test` each. Their `deps` are what the sources import, at the
top of a file or inside a function.
"""

import argparse
import ast
import os
import pathlib
import sys

from tools.order import ORDER

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "keras_basisprune"
SCRIPTS = ("benchmarks", "examples", "tools")
RUNNER = "//tools:pytest_main.py"
STAND_INS = "tools/bazel/pypi.bzl"

# Import names that differ from the name of the distribution.
DISTRIBUTIONS = {"absl": "absl_py", "PIL": "pillow", "sklearn": "scikit_learn"}

# Targets that read the code beside what they import.
READERS = ("build_test", "docs_test", "imports_test")
DATA = {"report": 'glob(["*.j2"])', PACKAGE: '["py.typed"]'}

HEADER = """\
# Written by tools/write_build.py from the imports of the code: run `make build` after
# changing them. tests/build_test.py compares this file with the code.
"""
LOAD = '\nload("@rules_python//python:defs.bzl", {})\n'


def build_texts(root, order=ORDER):
    """Maps the paths of all BUILD files, below `root`, to the texts they should have.

    What Bazel's stand-ins for installed libraries are made of is among them.
    """
    parsed = _Imports(root)
    texts = {PACKAGE: _package(parsed, order)}
    inside = {}
    for folder in sorted(_folders(root / PACKAGE)):
        name = folder.relative_to(root).as_posix()
        room = folder.relative_to(root / PACKAGE).parts[0]
        if folder.name == room and folder.parent == root / PACKAGE:
            inside[room] = sorted(
                f.relative_to(root).as_posix() for f in _folders(folder)
            )
            texts[name] = _room(parsed, order, room, inside[room])
        else:
            texts[name] = _rule(
                "filegroup",
                name="sources",
                srcs='glob(["*.py"])',
                visibility=[f"//{PACKAGE}/{room}:__pkg__"],
            )
    for folder in SCRIPTS:
        if any((root / folder).glob("*.py")):
            texts[folder] = _scripts(parsed, folder)
    if (root / "tests").is_dir():
        texts["tests"] = _tests(parsed)
    files = _rule(
        "filegroup", name="files", srcs='glob(["*"])', visibility=["//:__pkg__"]
    )
    texts = {name: f"{HEADER}{text}{files}" for name, text in texts.items()}
    found = {f"{name}/BUILD": text for name, text in sorted(texts.items())}
    found["BUILD"] = HEADER + _top(sorted(texts))
    found[STAND_INS] = f"{HEADER}\nLIBRARIES = {_list(sorted(parsed.libraries), 0)}\n"
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description="Writes BUILD files from the imports.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(argv).check
    texts = build_texts(ROOT)
    known = {ROOT / name for name in texts}
    old = [
        path
        for top in (PACKAGE, "tests", *SCRIPTS)
        for path in (ROOT / top).rglob("BUILD")
        if path not in known and _read(path).startswith(HEADER)
    ]
    stale = [name for name, text in texts.items() if _read(ROOT / name) != text]
    if not stale and not old:
        print("The BUILD files are up to date.")
        return 0
    if check:
        names = [*stale, *(path.relative_to(ROOT).as_posix() for path in old)]
        print(f"Out of date: {', '.join(names)}. Run `make build`.", file=sys.stderr)
        return 1
    for name in stale:
        temporary = ROOT / f"{name}.tmp"
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(texts[name], encoding="utf-8")
        os.replace(temporary, ROOT / name)
    for path in old:
        path.unlink()
    print(f"Written: {', '.join(stale) or 'none'}; {len(old)} removed.")
    return 0


class _Imports:
    """What files import, as labels; each file is read once."""

    def __init__(self, root):
        self.root = root
        self.libraries = set()

    def __call__(self, paths, own):
        """The sorted labels of what files import, without the target `own`."""
        labels = {
            _label(self.root, path, module)
            for path in paths
            for module in _imported(path)
        }
        labels -= {None, own}
        self.libraries |= {
            label.removeprefix("@pypi//") for label in labels if label.startswith("@")
        }
        return sorted(labels, key=lambda label: (label.startswith("@"), label))


def _package(parsed, order):
    """Modules directly in the package, and who is on which floor."""
    text = LOAD.format('"py_library"')
    for floor in range(1, len(order) + 1):
        text += _rule(
            "package_group",
            name=f"floor_{floor}_up",
            packages=_on_floor(parsed.root, order, floor),
            includes=[f":floor_{floor + 1}_up"] if floor < len(order) else [],
        )
    for path in sorted((parsed.root / PACKAGE).glob("*.py")):
        name = PACKAGE if path.stem == "__init__" else path.stem
        own = f"//{PACKAGE}:{name}" if name != PACKAGE else f"//{PACKAGE}"
        text += _rule(
            "py_library",
            name=name,
            srcs=[path.name],
            data=DATA.get(name, []),
            visibility=_visibility(order, name),
            deps=parsed([path], own),
        )
    return text


def _room(parsed, order, room, inner):
    folder = parsed.root / PACKAGE / room
    sources = 'glob(["*.py"])'
    if inner:
        sources += f" + {_list([f'//{name}:sources' for name in inner])}"
    return LOAD.format('"py_library"') + _rule(
        "py_library",
        name=room,
        srcs=sources,
        data=DATA.get(room, []),
        visibility=_visibility(order, room),
        deps=parsed(sorted(folder.rglob("*.py")), f"//{PACKAGE}/{room}"),
    )


def _scripts(parsed, folder):
    text = LOAD.format('"py_library"')
    if folder == "tools":
        text += '\nexports_files(["pytest_main.py"])\n'
    return text + _rule(
        "py_library",
        name=folder,
        srcs='glob(["*.py"])',
        visibility=["//visibility:public"],
        deps=parsed(sorted((parsed.root / folder).glob("*.py")), f"//{folder}"),
    )


def _tests(parsed):
    text = LOAD.format('"py_library", "py_test"')
    paths = sorted((parsed.root / "tests").glob("*.py"))
    shared = [path for path in paths if not path.stem.endswith("_test")]
    support = "//tests:test_support"
    if shared:
        text += _rule(
            "py_library",
            name="test_support",
            testonly=True,
            srcs=[path.name for path in shared],
            deps=parsed(shared, support),
        )
    for path in paths:
        if path in shared:
            continue
        deps = set(parsed([path], None)) | {"//tools", "@pypi//pytest"}
        deps |= {support} if shared else set()
        text += _rule(
            "py_test",
            name=path.stem,
            srcs=[path.name, RUNNER],
            args=[f"tests/{path.name}"],
            data=["//:files" if path.stem in READERS else "//:pyproject.toml"],
            main=RUNNER,
            legacy_create_init=0,  # `tests` is no package for pytest
            deps=sorted(deps, key=lambda label: (label.startswith("@"), label)),
        )
    return text.replace(f'"{support}"', '":test_support"')


def _top(folders):
    return (
        '\nexports_files(["pyproject.toml"])\n'
        + _rule(
            "alias",
            name=PACKAGE,
            actual=f"//{PACKAGE}",
            visibility=["//visibility:public"],
        )
        + _rule(
            "filegroup",
            name="files",
            testonly=True,
            srcs='glob(["*"]) + ' + _list([f"//{name}:files" for name in folders]),
            visibility=["//tests:__pkg__"],
        )
    )


def _on_floor(root, order, floor):
    """Package specifications of the rooms on a floor; scripts are above all."""
    if floor == len(order):
        above = (*SCRIPTS, "tests")
        return [f"//{name}" for name in above if any((root / name).glob("*.py"))]
    rooms = [f"//{PACKAGE}/{room}/..." for room in order[floor]]
    modules = any((root / PACKAGE / f"{room}.py").exists() for room in order[floor])
    rooms = [r for r in rooms if (root / r.strip("/.")).is_dir()]
    return [f"//{PACKAGE}"] * modules + rooms


def _visibility(order, room):
    if room == PACKAGE:
        return ["//visibility:public"]
    (floor,) = (i for i, rooms in enumerate(order) if room in rooms)
    return [f"//{PACKAGE}:floor_{floor + 1}_up", f"//{PACKAGE}:__pkg__"]


def _folders(folder):
    """All folders with Python files below a folder."""
    return {path.parent for path in folder.rglob("*.py")} - {folder}


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
        return _own_label(root, rest)
    if first in SCRIPTS and (root / first).is_dir():
        return f"//{first}"
    beside = path.parent / f"{first}.py"
    if path.parent == root / "tests" and (first == "tests" or beside.exists()):
        return "//tests:test_support"
    if first in sys.stdlib_module_names:
        return None
    return f"@pypi//{DISTRIBUTIONS.get(first, first)}"


def _own_label(root, rest):
    """The label of a module of the package, by its name without the package's."""
    if rest and (root / PACKAGE / rest[0]).is_dir():
        return f"//{PACKAGE}/{rest[0]}"
    if rest and (root / PACKAGE / f"{rest[0]}.py").exists():
        return f"//{PACKAGE}:{rest[0]}"
    return f"//{PACKAGE}"


def _read(path):
    return path.read_text(encoding="utf-8") if path.exists() else None


def _rule(rule, **arguments):
    """One call, formatted as buildifier does; lists that are empty are left out."""
    lines = [f"\n{rule}("]
    for key, value in arguments.items():
        if value == []:
            continue
        if isinstance(value, list):
            value = _list(value)
        elif isinstance(value, str) and not value.startswith(("glob(", "[")):
            value = f'"{value}"'
        lines.append(f"    {key} = {value},")
    return "\n".join([*lines, ")"]) + "\n"


def _list(items, indent=4):
    if len(items) < 2:
        return "[" + "".join(f'"{item}"' for item in items) + "]"
    space = " " * indent
    return "[\n" + "".join(f'{space}    "{item}",\n' for item in items) + f"{space}]"


if __name__ == "__main__":
    sys.exit(main())
