"""Tables as text, made with rich."""

import io


def text_table(columns, rows, title=None) -> str:
    """Renders rows of strings as a table that is readable in any terminal.

    Args:
        columns: Headings; one that starts with `<` is aligned left, the others right.
        rows: Lists of strings, one per column.
        title: Optional line above the table.

    Returns:
        The table as plain text.
    """
    import rich.box
    import rich.console
    import rich.table

    table = rich.table.Table(box=rich.box.SIMPLE, title=title, title_justify="left")
    for column in columns:
        table.add_column(
            column.removeprefix("<"),
            justify="left" if column.startswith("<") else "right",
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*row)
    stream = io.StringIO()
    console = rich.console.Console(
        file=stream, width=1000, color_system=None, markup=False, emoji=False
    )
    console.print(table)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return "\n".join(lines).strip("\n")
