"""Loading the catalogue: scopes in plain words, and access profiles as versions."""

import re
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts import audit
from tokens import policies
from tokens.models import AccessProfile, Helpdesk, Scope
from tokens.models.catalogue import Risk, RoleKind
from tokens.operations.profiles import TERMS, give_up, hold, make_version, told
from tokens.refusals import Invalid

LONGEST = {
    "name": policies.LONGEST_NAME, "words": policies.LONGEST_WORDS, "slug": 60, "light": 80,
}  # fmt: skip
SCOPE = ("name", "words", "risk", "role", "light")
LEAST = RoleKind.LIGHT_AGENT
PROFILE = (
    "slug", "name", "words", "scopes", "longest_days", "access_token_minutes", "ask_groups",
    "approver_group", "lead_decides", "approvals_needed", "policy_days", "helpdesks",
)  # fmt: skip


def load(*, catalogue: dict[str, Any], now: datetime) -> list[str]:
    """Load a catalogue file's contents; all of it or nothing. Returns a line for each change.

    A profile whose terms differ gets a new version; requests keep the one they were asked under.
    Raises `Invalid` with the first thing that is wrong and where.
    """
    if not isinstance(catalogue, dict):
        raise Invalid("the file: it must hold one object.")
    with transaction.atomic():
        lines = [_helpdesk(slug) for slug in settings.HELPDESKS]
        kind = _text(catalogue, "kind", "the file")
        lines += [_scope(kind, entry, now=now) for entry in _list(catalogue, "scopes", "the file")]
        seen: set[str] = set()
        for entry in _list(catalogue, "profiles", "the file"):
            slug = _text(_entry(entry, PROFILE, "profile"), "slug", "a profile")
            if slug in seen:
                raise Invalid(f"profile {slug}: it stands in the file twice.")
            seen.add(slug)
            lines += [_profile(desk, entry, now=now) for desk in _helpdesks_for(entry, kind)]
        lines += _retire_the_rest(catalogue, kind, now=now)
    return [line for line in lines if line]


def _retire_the_rest(catalogue: dict[str, Any], kind: str, *, now: datetime) -> list[str]:
    """A profile the file no longer names can no longer be asked for; what it gave lives on."""
    named = {(d.pk, e["slug"]) for e in catalogue["profiles"] for d in _helpdesks_for(e, kind)}
    lines = []
    for profile in AccessProfile.objects.filter(helpdesk__kind=kind).select_related("helpdesk"):
        is_named = (profile.helpdesk_id, profile.slug) in named
        if is_named == (profile.retired_at is None):
            continue
        AccessProfile.objects.filter(pk=profile.pk).update(retired_at=None if is_named else now)
        event = "profile.restored" if is_named else "profile.retired"
        audit.record(event, by=None, target=profile, now=now)
        lines.append(f"profile {profile.slug} on {profile.helpdesk.slug}: {event.split('.')[1]}")
    return lines


def _helpdesk(slug: str) -> str:
    config = settings.HELPDESKS[slug]
    _, is_new = Helpdesk.objects.update_or_create(
        slug=slug, defaults={"name": config.name, "kind": config.kind}
    )
    return f"helpdesk {slug}: added" if is_new else ""


def _scope(kind: str, entry: dict[str, Any], *, now: datetime) -> str:
    entry = _entry(entry, SCOPE, "scope")
    name = _text(entry, "name", "a scope")
    risk = _choice(entry, "risk", Risk.values, f"scope {name}")
    if not policies.scope_is_grantable(name, bare_write=settings.BARE_WRITE_ALLOWED):
        if name == "write":
            return ""
        raise Invalid(f"Scope {name} is never granted; take it out of the file.")
    where = f"scope {name}"
    said = {
        "words": _text(entry, "words", where),
        "risk": risk,
        "least_role": _choice(entry, "role", RoleKind.values, where) if "role" in entry else LEAST,
        "light_words": _text(entry, "light", where) if "light" in entry else "",
    }
    before = Scope.objects.filter(kind=kind, name=name).first()
    if before and all(getattr(before, column) == value for column, value in said.items()):
        return ""
    row, is_new = Scope.objects.update_or_create(kind=kind, name=name, defaults=said)
    audit.record("scope.changed", by=None, target=row, now=now, name=name, **said)
    return f"scope {name}: {'added' if is_new else 'changed'}"


def _helpdesks_for(entry: dict[str, Any], kind: str) -> list[Helpdesk]:
    wanted = _words(entry, "helpdesks", "a profile") or frozenset(settings.HELPDESKS)
    if unknown := set(wanted) - set(settings.HELPDESKS):
        raise Invalid(
            f"Profile {entry.get('slug')}: no such helpdesk: {', '.join(sorted(unknown))}."
        )
    return list(Helpdesk.objects.filter(slug__in=wanted, kind=kind))


def _profile(helpdesk: Helpdesk, entry: dict[str, Any], *, now: datetime) -> str:
    slug = _text(entry, "slug", "a profile")
    terms = _terms(helpdesk, entry, slug)
    profile, _ = AccessProfile.objects.get_or_create(helpdesk=helpdesk, slug=slug)
    hold(profile.pk)
    profile.refresh_from_db()
    current = profile.current
    if current and all(getattr(current, term) == terms[term] for term in TERMS):
        return ""
    if current and current.editor_id is not None:
        return f"profile {slug} on {helpdesk.slug}: edited on its page since, left as it is"
    give_up(profile, by=None, now=now)
    version = make_version(profile, terms, editor=None, now=now)
    AccessProfile.objects.filter(pk=profile.pk).update(current=version)
    audit.record("profile.changed", by=None, target=profile, now=now, **told(current, version))
    number = version.number
    return f"profile {slug} on {helpdesk.slug}: version {number}"


def _terms(helpdesk: Helpdesk, entry: dict[str, Any], slug: str) -> dict[str, Any]:
    where = f"profile {slug}"
    scopes = frozenset(_list(entry, "scopes", where))
    known = {s.name: s.risk for s in Scope.objects.filter(kind=helpdesk.kind, name__in=scopes)}
    if unknown := scopes - set(known):
        raise Invalid(f"{where}: not in the table of scopes: {', '.join(sorted(unknown))}.")
    if not scopes:
        raise Invalid(f"{where}: name at least one scope.")
    for name in sorted(scopes):
        if not policies.scope_is_grantable(name, bare_write=settings.BARE_WRITE_ALLOWED):
            raise Invalid(
                f"{where}: {name} is not granted here. See ALLOW_BARE_WRITE in docs/install.md."
            )
    least = int(settings.ACCESS_TOKEN_LEAST.total_seconds())
    return {
        "name": _text(entry, "name", where),
        "words": _text(entry, "words", where),
        "scopes": scopes,
        "risk": policies.risk_of(known.values()),
        "longest_days": _number(entry, "longest_days", where, 1, policies.MOST_DAYS),
        "access_token_seconds": _number(
            entry,
            "access_token_minutes",
            where,
            max(policies.LEAST_MINUTES, least // 60),
            policies.MOST_MINUTES,
            default=480,
        )
        * 60,
        "ask_groups": _words(entry, "ask_groups", where),
        "approver_group": _text(entry, "approver_group", where),
        "lead_decides": _yes_or_no(entry, "lead_decides", where),
        "approvals_needed": _number(
            entry, "approvals_needed", where, 1, policies.MOST_APPROVALS, default=1
        ),
        "policy_days": _number(entry, "policy_days", where, 0, policies.MOST_DAYS, default=0),
    }


def _entry(entry: object, known: tuple[str, ...], what: str) -> dict[str, Any]:
    """An object with known keys only, so that a misspelt term is no silent default."""
    if not isinstance(entry, dict):
        raise Invalid(f"{what}: it must be an object.")
    if unknown := set(entry) - set(known):
        raise Invalid(f"{what} {entry.get('slug', '')}: there is no {', '.join(sorted(unknown))}.")
    return entry


def _words(entry: dict[str, Any], key: str, where: str) -> frozenset[str]:
    """A list of words, perhaps empty."""
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise Invalid(f"{where}: {key} must be a list of words.")
    if any(len(word.split()) != 1 or not word.isprintable() for word in value):
        raise Invalid(f"{where}: {key} holds a name with a blank in it, or an empty one.")
    return frozenset(value)


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    longest = LONGEST.get(key, 255)
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise Invalid(f"{where}: {key} must be text of at most {longest} characters.")
    if not value.isprintable() or (key == "slug" and not re.fullmatch(r"[a-z0-9-]+", value)):
        raise Invalid(f"{where}: {key} holds characters that do not belong there.")
    return value.strip()


def _list(entry: dict[str, Any], key: str, where: str) -> list[Any]:
    value = entry.get(key)
    if not isinstance(value, list):
        raise Invalid(f"{where}: {key} must be a list.")
    return value


def _yes_or_no(entry: dict[str, Any], key: str, where: str) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise Invalid(f"{where}: {key} must be true or false.")
    return value


def _choice(entry: dict[str, Any], key: str, choices: list[str], where: str) -> str:
    value = _text(entry, key, where)
    if value not in choices:
        raise Invalid(f"{where}: {key} must be one of {', '.join(choices)}.")
    return value


def _number(
    entry: dict[str, Any], key: str, where: str, least: int, most: int, default: int | None = None
) -> int:
    value = entry.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid(f"{where}: {key} must be a number from {least} to {most}.")
    return value
