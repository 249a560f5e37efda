"""Renders the templates of this folder."""

from keras_basisprune.report import _text, charts

_FILTERS = {
    name: getattr(_text, name)
    for name in (
        "amount",
        "at_most",
        "duration",
        "label",
        "number",
        "passed",
        "percent",
        "removed",
        "removed_share",
        "small",
        "standard_error",
        "verdict",
    )
}


def fragment(template, **values) -> str:
    """Returns a template as text.

    Args:
        template: Name of a file in this folder.
        **values: What it reads, besides the colours `light` and `dark`.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_basisprune.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= _FILTERS
    colours = {"light": charts.LIGHT, "dark": charts.DARK}
    return environment.get_template(template).render(**colours, **values)
