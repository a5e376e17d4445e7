"""How commands speak of what went wrong."""


def first_line(error: Exception) -> str:
    """A database's own words may run over many lines; the first says what it is."""
    return str(error).strip().split("\n", maxsplit=1)[0]
