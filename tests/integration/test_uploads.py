"""No page takes a file: one that is sent all the same is read and dropped, and fills no disk."""

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.test import Client

pytestmark = pytest.mark.django_db


def test_a_file_is_never_spooled_to_the_disk(monkeypatch):
    def spool(*_: object) -> None:
        raise AssertionError("A file was spooled.")

    monkeypatch.setattr(TemporaryUploadedFile, "__init__", spool)
    huge = SimpleUploadedFile("huge.bin", b"x" * 3_000_000)
    stranger = Client(enforce_csrf_checks=True)
    # With a cookie the body is looked into for its twin.
    stranger.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
    assert stranger.post("/", {"file": huge}).status_code == 403
