"""Read models: what a page needs, in a bounded number of queries. Nothing here changes a row."""

from tokens.queries.people import deciders

__all__ = ["deciders"]
