"""Apache Beam, where it is installed."""


def imported_beam(who):
    """Returns the module, or says what to install.

    Args:
        who: Name of the function that needs it.
    """
    try:
        import apache_beam
    except ImportError as error:
        raise ImportError(
            f"{who} needs Apache Beam, which is not installed. Run: "
            'pip install "keras-basisprune[beam]"'
        ) from error
    return apache_beam
