"""Components that are kept, and the fields of filters: what one shows depends on what it is given, and on nothing else."""

from collections.abc import Iterator

import pytest
from django import forms
from django.template import TemplateSyntaxError
from django.utils.safestring import mark_safe

from accounts.models import User
from portal.templatetags import ui
from portal.templatetags.ui import badge, filter_field, kept


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    ui._rendered.cache_clear()
    yield
    ui._rendered.cache_clear()


def shown(word: str) -> str:
    return kept("components/badge.html", word=word, tone="neutral", shape="")


def test_a_component_is_rendered_once_for_the_same_arguments() -> None:
    assert shown("one") == shown("one") != shown("two")
    assert ui._rendered.cache_info()[:2] == (1, 2)  # hits and misses


def test_a_safe_text_never_stands_in_for_the_same_one_that_is_not() -> None:
    assert "<b>" in shown(mark_safe("<b>"))
    assert "<b>" not in shown("<b>")
    assert "<b>" in shown(mark_safe("<b>"))


def test_what_is_kept_takes_no_row_of_a_table() -> None:
    """Two readings of a row are equal, whatever changed in between."""
    with pytest.raises(TemplateSyntaxError, match="takes no rows"):
        kept("components/badge.html", word=User(pk=1, name="Ada"))


def test_a_badge_escapes_its_label_and_knows_its_states() -> None:
    assert "&lt;i&gt;" in badge(label="<i>")
    with pytest.raises(KeyError):
        badge("no such state")


class Sample(forms.Form):
    text = forms.CharField(
        max_length=10, required=False, widget=forms.TextInput(attrs={"type": "search"})
    )
    kind = forms.TypedChoiceField(
        required=False, coerce=int, empty_value=None,
        choices=[("", "Any"), ("Fruit", [(1, "Apple"), (2, "Pear & plum")])],
    )  # fmt: skip
    page = forms.CharField(required=False, widget=forms.HiddenInput)


def test_a_filter_shows_what_was_said() -> None:
    form = Sample({"text": '"<x>', "kind": "2", "page": "3"})
    text, kind, page = (filter_field(field) for field in form)
    assert 'type="search"' in text
    assert 'maxlength="10"' in text
    assert 'value="&quot;&lt;x&gt;"' in text
    assert '<optgroup label="Fruit">' in kind
    assert '<option value="2" selected>Pear &amp; plum</option>' in kind
    assert kind.count("selected") == 1
    assert page.strip() == '<input type="hidden" name="page" value="3" id="id_page">'


def test_a_filter_that_says_nothing_starts_with_the_first_choice() -> None:
    text, kind, page = (filter_field(field) for field in Sample({}))
    assert 'value=""' in text
    assert '<option value="" selected>Any</option>' in kind
    assert 'value=""' in page


def test_a_filter_says_what_is_wrong_and_ties_it_to_the_field() -> None:
    text, *_ = (filter_field(field) for field in Sample({"text": "far too long a word"}))
    assert "at most 10 characters" in text
    assert 'aria-invalid="true" aria-describedby="id_text_error"' in text
    assert 'id="id_text_error"' in text
