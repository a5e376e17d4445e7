"""Several small reads in one statement, for pages that may ask the database only so often.

Django takes far longer to write these statements than the database to answer them, and writes the same ones for every
page but for a few values. A read that leaves places for them (`given`) is made once, kept by `functools.cache`, and
its statement is written once; a page only fills in the values (`Prepared`).
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import (
    BigIntegerField,
    CharField,
    DateTimeField,
    Expression,
    Field,
    ForeignKey,
    IntegerField,
    JSONField,
    Model,
    QuerySet,
    TextField,
)

if TYPE_CHECKING:
    AnyField = Field[Any, Any]
else:
    AnyField = Field

M = TypeVar("M", bound=Model)
Row = dict[str, Any]
Read = QuerySet[Any, Any]
"""A queryset with `.values(…)`, whose rows are dictionaries."""


class Prepared(NamedTuple):
    """A read that is kept, and what is in its places now."""

    read: Read
    values: Mapping[str, Any] = {}


class _Given(Expression):
    """A place in a read; stands among the parameters of its statement until the value is there."""

    def __init__(self, name: str, field: AnyField) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, *_: object, **__: object) -> Any:
        return "%s", [self]

    def filled(self, values: Mapping[str, Any]) -> Any:
        return self.output_field.get_db_prep_value(values[self.name], connection)


def given(name: str, field: AnyField | None = None) -> Any:
    """A place for a value of this field's type, an id if left out, wherever a queryset takes the value."""
    return _Given(name, field or BigIntegerField())


def together(reads: Mapping[str, Read | Prepared]) -> dict[str, list[Row]]:
    """What each of these querysets finds, by name, in one statement.

    Each is bounded by its caller and names its columns by `.values(…)`; a row comes as the dictionary that gives.
    """
    parts = {name: _part(asked) for name, asked in reads.items()}
    columns = ", ".join(f"({part.sql})" for part, _ in parts.values())
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns}", [one for _, params in parts.values() for one in params])
        found = cursor.fetchone()
    texts = zip(parts.items(), found, strict=True)
    return {name: part.rows(text) for (name, (part, _)), text in texts}


def columns_of(model: type[Model]) -> list[str]:
    """The names by which `.values(…)` gives whole rows, to be made into objects again."""
    return [field.attname for field in model._meta.concrete_fields]


def object_from(model: type[M], row: Row) -> M:
    """The object of a row that was read by `columns_of`."""
    return model.from_db(connection.alias, [*row], [*row.values()])


def _part(asked: Read | Prepared) -> tuple["_Part", list[Any]]:
    """A read as a column, with its values."""
    if not isinstance(asked, Prepared):
        part = _written(asked)
        return part, part.params
    part, values = _kept(asked.read), asked.values
    return part, [one.filled(values) if isinstance(one, _Given) else one for one in part.params]


class _Part:
    """One read: its statement as a column of JSON, and how the values of a row become Python's."""

    def __init__(self, sql: str, params: list[Any], fields: Mapping[str, AnyField]) -> None:
        self.sql, self.params = sql, params
        self._columns = [(name, _reading(field)) for name, field in fields.items()]

    def rows(self, found: Any) -> list[Row]:
        """The rows in what the database gave for this column."""
        lists: list[list[Any]] = json.loads(found) if isinstance(found, str) else found
        return [self._row(values) for values in lists]

    def _row(self, values: list[Any]) -> Row:
        pairs = zip(self._columns, values, strict=True)
        return {
            name: read(value) if read and value is not None else value
            for (name, read), value in pairs
        }


_written_so_far: WeakKeyDictionary[Read, _Part] = WeakKeyDictionary()
_writing = Lock()


def _kept(read: Read) -> _Part:
    """The statement of a read that is kept, for as long as that is. Threads share both, so one writes at a time."""
    with _writing:
        if (part := _written_so_far.get(read)) is None:
            part = _written_so_far[read] = _written(read)
    return part


def _written(read: Read) -> _Part:
    compiler = read.query.get_compiler(connection=connection)
    try:
        sql, params = compiler.as_sql()
    except EmptyResultSet:
        return _Part("SELECT '[]'", [], {})
    fields = {alias: part.output_field for part, _, alias in compiler.select}
    names = ", ".join(f"t.{connection.ops.quote_name(name)}" for name in fields)
    return _Part(AS_JSON[connection.vendor].format(names, sql), list(params), fields)


AS_JSON = {
    "sqlite": "SELECT json_group_array(json_array({})) FROM ({}) t",
    "postgresql": "SELECT coalesce(json_agg(json_build_array({})), '[]') FROM ({}) t",
}
"""A statement's rows as one array of arrays, in the order of the statement."""


def _reading(field: AnyField) -> Callable[[Any], Any] | None:
    """How a value of JSON becomes the column's type; None: it is one. Moments come aware and in UTC."""
    if isinstance(field, ForeignKey):
        return _reading(field.target_field)
    if isinstance(field, IntegerField) or type(field) in (CharField, TextField):
        return None
    if isinstance(field, JSONField):
        return _unpacked
    return _moment if isinstance(field, DateTimeField) else field.to_python


def _unpacked(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
