"""The command `compare`: two reports side by side."""

from rich.markup import escape

from keras_basisprune.cli._steps import print_line
from keras_basisprune.report import compare_reports
from keras_basisprune.utils.check_path import check_path

_PAGE = "comparison.html"


def compare(flags, console, first, second):
    """Prints two reports side by side, and writes them as a page."""
    path = check_path("--output", flags.output or _PAGE, "file")
    found = compare_reports(first, second)
    console.print(escape(str(found)), highlight=False, soft_wrap=True)
    print_line(f"\nPage: {found.save(path)}", console)
