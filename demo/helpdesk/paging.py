"""How lists come in pages: by cursor (`page[size]`, `page[after]`) or by offset, never both."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse

from demo.helpdesk.answers import Refused, bad_parameter
from demo.helpdesk.models import Row

LARGEST_PAGE = 100
LAST_BY_OFFSET = 10_000


class Listing(Protocol):
    """A list in the order of its ids that a page can be cut from."""

    def count(self) -> int: ...

    def after(self, last_id: int, size: int) -> list[tuple[int, dict[str, Any]]]: ...

    def from_place(self, place: int, size: int) -> list[dict[str, Any]]: ...


class Rows[R: Row]:
    """placeholder"""
