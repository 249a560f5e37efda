"""Finds the imports of files, as labels of Bazel targets."""

import ast
import sys

PACKAGE = "keras_basisprune"
SCRIPTS = ("benchmarks", "examples", "examples/tasks", "tools")

# Import names that differ from the name of the distribution.
DISTRIBUTIONS = {"absl": "absl_py", "PIL": "pillow", "sklearn": "scikit_learn"}


class Imports:
    """The imports of files, as labels; each file is read once."""

    def __init__(self, root):
        self.root = root
        self.libraries = set()

    def __call__(self, paths, own):
        """Returns sorted labels of the imports of files, without the target `own`."""
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
    """Returns the label of the target with a dotted name; None for Python's library."""
    first, *rest = module.split(".")
    if first == PACKAGE:
        return _own_label(root, rest)
    for folder in ("/".join([first, *rest[:1]]), first):
        if folder in SCRIPTS and (root / folder).is_dir():
            return f"//{folder}"
    beside = path.parent / f"{first}.py"
    if path.parent == root / "tests" and (first == "tests" or beside.exists()):
        return "//tests:test_support"
    if first in sys.stdlib_module_names:
        return None
    return f"@pypi//{DISTRIBUTIONS.get(first, first)}"


def _own_label(root, rest):
    """Returns the label of a module of the package, by its name without the package."""
    if rest and (root / PACKAGE / rest[0]).is_dir():
        return f"//{PACKAGE}/{rest[0]}"
    if rest and (root / PACKAGE / f"{rest[0]}.py").exists():
        return f"//{PACKAGE}:{rest[0]}"
    return f"//{PACKAGE}"
