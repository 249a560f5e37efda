"""Writes the BUILD files from the imports of the code.

    python -m tools.write_build            # writes them
    python -m tools.write_build --check    # only says whether they are up to date

Each folder has one. Each room of the package is one `py_library`, visible from the
floors above it (`tools/order.py`); folders inside a room pass their files to it.
Modules directly in the package, folders of scripts and shared files of tests are one
`py_library` each, test files one `py_test` each. Their `deps` are the imports of the
sources, at the top of a file or inside a function.
"""

import argparse
import os
import pathlib
import sys

from tools.build_imports import PACKAGE, SCRIPTS, Imports
from tools.build_targets import (
    package_targets,
    room_targets,
    scripts_targets,
    tests_targets,
    top_targets,
)
from tools.build_text import list_text, rule_text
from tools.order import ORDER

ROOT = pathlib.Path(__file__).resolve().parent.parent
STAND_INS = "tools/bazel/pypi.bzl"

HEADER = """\
# Written by tools/write_build.py from the imports of the code: run `make build` after
# changing them. tests/build_test.py compares this file with the code.
"""


def build_texts(root, order=ORDER):
    """Maps the paths of all BUILD files, below `root`, to the texts they should have.

    This includes the files for Bazel's substitutes of installed libraries.
    """
    parsed = Imports(root)
    texts = {PACKAGE: package_targets(parsed, order)}
    inside = {}
    for folder in sorted(_folders(root / PACKAGE)):
        name = folder.relative_to(root).as_posix()
        room = folder.relative_to(root / PACKAGE).parts[0]
        if folder.name == room and folder.parent == root / PACKAGE:
            inside[room] = sorted(
                f.relative_to(root).as_posix() for f in _folders(folder)
            )
            texts[name] = room_targets(parsed, order, room, inside[room])
        else:
            texts[name] = rule_text(
                "filegroup",
                name="sources",
                srcs='glob(["*.py"])',
                visibility=[f"//{PACKAGE}/{room}:__pkg__"],
            )
    for folder in SCRIPTS:
        if any((root / folder).glob("*.py")):
            texts[folder] = scripts_targets(parsed, folder)
    if (root / "tests").is_dir():
        texts["tests"] = tests_targets(parsed)
    files = rule_text(
        "filegroup", name="files", srcs='glob(["*"])', visibility=["//:__pkg__"]
    )
    texts = {name: f"{HEADER}{text}{files}" for name, text in texts.items()}
    found = {f"{name}/BUILD": text for name, text in sorted(texts.items())}
    found["BUILD"] = HEADER + top_targets(sorted(texts))
    found[STAND_INS] = (
        f"{HEADER}\nLIBRARIES = {list_text(sorted(parsed.libraries), 0)}\n"
    )
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


def _folders(folder):
    """Returns all folders with Python files below a folder."""
    return {path.parent for path in folder.rglob("*.py")} - {folder}


def _read(path):
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
