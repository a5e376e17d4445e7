"""Is company sign-in set up? Prints what is done, what is missing and where to click. Changes nothing."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts import identity_provider, oidc
from accounts.refusals import Refused
from accounts.roles import Role, groups_that_give


@dataclass(frozen=True)
class Finding:
    """One thing that is so, is missing, or can only be seen at a sign-in (`is_done` None)."""

    is_done: bool | None
    sentence: str
    advice: str = ""


class Command(BaseCommand):
    help = "Check that people can sign in through the identity provider. Exit 1 if something is missing."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        """Print every finding."""
        findings = list(_findings())
        for finding in findings:
            self._print(finding)
        missing = sum(finding.is_done is False for finding in findings)
        self.stdout.write("")
        if missing:
            self.stdout.write(
                f"{missing} missing. Nobody can sign in as they should until it is mended."
            )
            sys.exit(1)
        self.stdout.write("Sign-in is set up. Try it in a browser: the groups are seen only then.")

    def _print(self, finding: Finding) -> None:
        mark = {True: "done   ", False: "missing", None: "note   "}[finding.is_done]
        self.stdout.write(f"{mark}  {finding.sentence}")
        if finding.advice and finding.is_done is not True:
            self.stdout.write(f"         → {finding.advice}")


def _findings() -> Iterator[Finding]:
    yield from _environment()
    yield Finding(
        None,
        f"Redirect URI: {oidc.callback_address()}",
        "At the identity provider: the application's sign-in settings, “Redirect URIs”, exactly this.",
    )
    if settings.OIDC_SERVER_URL:
        yield from _provider()
    yield from _roles()


def _environment() -> Iterator[Finding]:
    where = {
        "OIDC_SERVER_URL": "The issuer's address: at the identity provider under “Endpoints” or “OpenID "
        "configuration”, without /.well-known/….",
        "OIDC_CLIENT_ID": "At the identity provider: register a web application, copy its client id.",
        "OIDC_CLIENT_SECRET": "At the identity provider: the application's “Certificates and secrets” or "
        "“Credentials”.",
    }
    for name, advice in where.items():
        is_set = bool(getattr(settings, name))
        yield Finding(is_set, f"{name} is {'set' if is_set else 'not set'}.", advice)


def _provider() -> Iterator[Finding]:
    address = identity_provider.discovery_address(settings.OIDC_SERVER_URL)
    try:
        found = identity_provider.metadata(settings.OIDC_SERVER_URL)
    except Refused as refusal:
        yield Finding(False, f"{address}: {refusal.sentence}", "Open this address in a browser.")
        return
    yield Finding(True, f"{address} answers, and its issuer is {found['issuer']}.")
    yield _pkce(found)
    yield _keys(found)
    yield _scopes(found)
    yield _groups(found)


def _pkce(found: dict[str, Any]) -> Finding:
    methods = found.get("code_challenge_methods_supported")
    if methods is None:
        sentence = (
            "The identity provider does not say whether it supports PKCE; Keydesk always sends it."
        )
        return Finding(None, sentence, "Most do. A sign-in shows it.")
    is_done = "S256" in methods
    sentence = f"PKCE with S256 is {'supported' if is_done else 'not supported'}."
    return Finding(
        is_done, sentence, "Choose an application type that allows the code flow with PKCE."
    )


def _keys(found: dict[str, Any]) -> Finding:
    try:
        keys = identity_provider.keys(found["jwks_uri"], again=True)
    except Refused as refusal:
        return Finding(False, f"{found['jwks_uri']}: {refusal.sentence}")
    count = sum(key.get("kty") != "oct" and key.get("use", "sig") == "sig" for key in keys)
    advice = "Let it sign ID tokens with RS256 or ES256."
    return Finding(count > 0, f"{count} public keys to verify signatures with.", advice)


def _scopes(found: dict[str, Any]) -> Finding:
    known = found.get("scopes_supported")
    asked = " ".join(settings.OIDC_SCOPES)
    if not isinstance(known, list):
        return Finding(None, f"Keydesk asks for the scopes: {asked}.", "A sign-in shows them.")
    strange = [scope for scope in settings.OIDC_SCOPES if scope not in known]
    if "openid" not in settings.OIDC_SCOPES:
        return Finding(
            False, "OIDC_SCOPES lacks openid.", "OIDC_SCOPES=openid profile email groups"
        )
    if strange:
        sentence = f"The identity provider does not list the scopes: {', '.join(strange)}."
        advice = "Add them there, or take them out of OIDC_SCOPES if the claims come without."
        return Finding(None, sentence, advice)
    return Finding(True, f"It knows the scopes Keydesk asks for: {asked}.")


def _groups(found: dict[str, Any]) -> Finding:
    claim = settings.OIDC_GROUPS_CLAIM
    if not claim:
        return Finding(
            None, "OIDC_GROUPS_CLAIM is empty: no groups are expected, so nobody approves."
        )
    claims = found.get("claims_supported")
    if isinstance(claims, list) and claim in claims:
        return Finding(True, f"The identity provider lists the claim “{claim}”.")
    return Finding(
        None,
        f"The identity provider does not list the claim “{claim}”; many send it all the same.",
        "At the identity provider: the application's “Token configuration” or “Mappers”, add a groups "
        "claim to the ID token.",
    )


def _roles() -> Iterator[Finding]:
    for role in (Role.APPROVER, Role.ADMIN):
        groups = ", ".join(sorted(groups_that_give(role)))
        name = f"ROLE_{role.name}_GROUPS"
        is_named = role is Role.ADMIN and bool(settings.ROLE_ADMIN_SUBJECTS)
        sentence = f"{name}: {groups}." if groups else f"{name} is not set."
        is_done = True if groups else None if is_named or not settings.OIDC_GROUPS_CLAIM else False
        yield Finding(is_done, sentence, f"{name}=the group whose members are {role.value}s")
    auditors = ", ".join(sorted(groups_that_give(Role.AUDITOR)))
    sentence = (
        f"ROLE_AUDITOR_GROUPS: {auditors}." if auditors else "ROLE_AUDITOR_GROUPS is not set."
    )
    yield Finding(True if auditors else None, sentence, "Only if somebody is to read everything.")
