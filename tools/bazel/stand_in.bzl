"""Repositories that are made of names, so that Bazel builds without network."""

load("//tools/bazel:pypi.bzl", "LIBRARIES")

_LIBRARY = """\
py_library(
    name = "{}",
    visibility = ["//visibility:public"],
)
"""

def _stand_in_impl(context):
    for path, text in context.attr.files.items():
        context.file(path, text)
    context.file("WORKSPACE")

stand_in = repository_rule(
    implementation = _stand_in_impl,
    attrs = {"files": attr.string_dict(doc = "Texts of files by their paths.")},
)

def stand_in_libraries(name):
    """A repository with an empty `py_library` for each installed library."""
    stand_in(
        name = name,
        files = {"%s/BUILD" % library: _LIBRARY.format(library) for library in LIBRARIES},
    )
