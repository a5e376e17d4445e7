"""The connection to the database, while something else is waited for."""

from django.db import connection, connections


def let_go() -> None:
    """Hold no connection until the next query; inside a transaction there is nothing that could be let go."""
    if not connection.in_atomic_block:
        connections.close_all()
