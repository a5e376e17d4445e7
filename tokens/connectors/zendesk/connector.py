"""Zendesk as a helpdesk: which request each method of the contract makes, and what each refusal means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from tokens.connectors.base import (
    Broken,
    Gate,
    GiveUp,
    HelpdeskConfig,
    RemoteUser,
    ServiceToken,
    TokenPair,
    TokenRecord,
    Unknown,
)
from tokens.connectors.http import Transport
from tokens.connectors.wire import Answer
from tokens.connectors.zendesk import parse
from tokens.connectors.zendesk.errors import problem

SERVICE_SCOPE = "read write"
_OUR_ACCESS_REFUSED = frozenset({"invalid_client", "unauthorized_client"})
_OUR_REQUEST_REFUSED = frozenset({"invalid_grant", "invalid_scope", "invalid_request"})
_CODES = {401: "invalid_token", 403: "forbidden", 404: "not_found"}
_PAGE = 100
_MOST_PAGES = 1000
_TOKENS, _CLIENTS, _USERS = "/api/v2/oauth/tokens", "/api/v2/oauth/clients", "/api/v2/users"

Query = Mapping[str, str | int]


class ZendeskConnector:
    """One Zendesk account. See `connectors.base.Connector` for what each method promises."""

    kind: Literal["zendesk"] = "zendesk"

    def __init__(self, config: HelpdeskConfig, gate: Gate) -> None:
        self._config = config
        self._transport = Transport(base_url=config.url, gate=gate)

    def __repr__(self) -> str:
        return f"ZendeskConnector({self._config.slug})"

    # Tokens made: `POST /oauth/tokens`. Both lifetimes are always sent, because a refresh without them
    # falls back to the client's defaults, which may be "never ends".

    def exchange(
        self, *, code: str, redirect_uri: str, code_verifier: str, scopes: frozenset[str],
        expires_in: int, refresh_expires_in: int,
    ) -> TokenPair:  # fmt: skip
        """Swap an authorization code for a pair."""
        return parse.token_pair(
            self._ask_as_agents_client(
                {
                    "grant_type": "authorization_code",
                    "code": code,
                    "redirect_uri": redirect_uri,
                    "code_verifier": code_verifier,
                    "scope": _joined(scopes),
                    "expires_in": expires_in,
                    "refresh_token_expires_in": refresh_expires_in,
                }
            )
        )

    def refresh(
        self, *, refresh_token: str, scopes: frozenset[str], expires_in: int, refresh_expires_in: int
    ) -> TokenPair:  # fmt: skip
        """Swap a refresh token for a new pair. No scopes: none are named, which asks for those it has."""
        named = {"scope": _joined(scopes)} if scopes else {}
        return parse.token_pair(
            self._ask_as_agents_client(
                {
                    "grant_type": "refresh_token",
                    "refresh_token": refresh_token,
                    **named,
                    "expires_in": expires_in,
                    "refresh_token_expires_in": refresh_expires_in,
                }
            )
        )

    def mint_service_token(self, *, expires_in: int) -> ServiceToken:
        """Get Keydesk's own access."""
        config = self._config
        wish: Query = {
            "grant_type": "client_credentials",
            "scope": SERVICE_SCOPE,
            "expires_in": expires_in,
        }
        return parse.service_token(
            self._ask(wish, config.service_client_id, config.service_client_secret)
        )

    def _ask_as_agents_client(self, wish: Query) -> Any:
        return self._ask(wish, self._config.client_id, self._config.client_secret)

    def _ask(self, wish: Query, client_id: str, client_secret: str) -> Any:
        own = {"client_id": client_id, "client_secret": client_secret}
        answer = self._transport.post("/oauth/tokens", fields={**wish, **own})
        if not answer.is_success:
            hidden = ("code", "code_verifier", "refresh_token")
            raise _token_refusal(
                answer, [client_secret, *(str(wish.get(name, "")) for name in hidden)]
            )
        return answer.json()

    # Tokens described and ended: `/api/v2/oauth/tokens`.

    def current(self, *, access_token: str) -> TokenRecord:
        """Describe the token that asks."""
        return _record(self._read(f"{_TOKENS}/current", access_token))

    def show(self, *, token_id: int, access_token: str) -> TokenRecord | None:
        """One token by id; None when the helpdesk says 404."""
        found = self._read_or_none(f"{_TOKENS}/{token_id:d}", access_token)
        if found is None:
            return None
        record = _record(found)
        _must_be(record.id, token_id)
        return record

    def tokens_of_client(self, *, client_number: int, access_token: str) -> Sequence[TokenRecord]:
        """Every token of an OAuth client, all pages."""
        query: Query = {"all": "true", "client_id": client_number}
        found: dict[int, TokenRecord] = {}
        for value in self._every(_TOKENS, "tokens", access_token, query):
            record = parse.token_record(value)
            if record.id in found:
                raise Unknown("The helpdesk listed one token twice, so the list does not count.")
            found[record.id] = record
        return list(found.values())

    def delete(self, *, token_id: int, access_token: str) -> None:
        """Revoke by id, never by `current`, which answers 204 without effect."""
        answer = self._transport.delete(f"{_TOKENS}/{token_id:d}", bearer=access_token)
        if not answer.is_success:
            _refuse_unless_gone(answer, access_token)
        elif answer.body.strip():
            answer.json()

    def client_number(self, *, access_token: str) -> int:
        """The numeric id of Keydesk's client. Raises `Broken` when the helpdesk lists no such client."""
        for value in self._every(_CLIENTS, "clients", access_token):
            client = parse.fields(value, "client")
            if client.get("identifier") == self._config.client_id:
                return parse.identity(client, "id")
        raise Broken(
            "Keydesk's own user on the helpdesk sees no OAuth client "
            f"with the identifier {self._config.client_id}."
        )

    # Users.

    def whoami(self, *, access_token: str) -> RemoteUser:
        """The user a token acts as. Zendesk answers 200 with a null id to nobody in particular."""
        user = parse.fields(self._read(f"{_USERS}/me", access_token).get("user"), "user")
        if user.get("id") is None:
            raise GiveUp("The helpdesk took the token for an anonymous user.", code="anonymous")
        return parse.remote_user(user)

    def user(self, *, user_id: int, access_token: str) -> RemoteUser | None:
        """One user by id; None when gone."""
        found = self._read_or_none(f"{_USERS}/{user_id:d}", access_token)
        if found is None:
            return None
        user = parse.remote_user(found.get("user"))
        _must_be(user.id, user_id)
        return user

    def user_by_external_id(self, *, external_id: str, access_token: str) -> RemoteUser | None:
        """The user with exactly this external id; nobody has an empty one."""
        if not external_id:
            return None
        users = self._search({"external_id": external_id}, access_token)
        exact = [user for user in users if user.external_id == external_id]
        if len(exact) > 1:
            raise Unknown("The helpdesk gave several users with one external id.")
        return exact[0] if exact else None

    def users_by_email(self, *, email: str, access_token: str) -> Sequence[RemoteUser]:
        """Users whose primary or verified address this is; the search also finds similar ones."""
        if not email:
            return []
        wanted = email.casefold()
        users = self._search({"query": f"email:{email}"}, access_token)
        return [user for user in users if self._has_address(user, wanted, access_token)]

    def _search(self, query: Query, access_token: str) -> list[RemoteUser]:
        page = self._read(f"{_USERS}/search", access_token, {**query, "per_page": _PAGE})
        return [parse.remote_user(value) for value in parse.only_page(page, "users")]

    def _has_address(self, user: RemoteUser, wanted: str, access_token: str) -> bool:
        if user.email.casefold() == wanted:
            return True
        found = self._read_or_none(f"{_USERS}/{user.id:d}/identities", access_token)
        known = parse.only_page(found, "identities") if found is not None else []
        return wanted in {address.casefold() for address in parse.verified_addresses(known)}

    # Reading with an access token.

    def _read(self, path: str, access_token: str, query: Query | None = None) -> parse.Fields:
        answer = self._transport.get(path, bearer=access_token, query=query)
        if not answer.is_success:
            raise _bearer_refusal(answer, access_token)
        return parse.fields(answer.json(), "content")

    def _read_or_none(self, path: str, access_token: str) -> parse.Fields | None:
        """What stands at `path`; None when the helpdesk itself says 404."""
        answer = self._transport.get(path, bearer=access_token)
        if answer.is_success:
            return parse.fields(answer.json(), "content")
        _refuse_unless_gone(answer, access_token)
        return None

    def _every(
        self, path: str, key: str, access_token: str, query: Query | None = None
    ) -> Iterator[Any]:
        """Everything in a list with cursor pages. Raises `Unknown` when it does not come to an end."""
        cursors: list[str] = []
        while len(cursors) < _MOST_PAGES:
            after = {"page[after]": cursors[-1]} if cursors else {}
            page = self._read(path, access_token, {**(query or {}), "page[size]": _PAGE, **after})
            yield from parse.items(page, key)
            cursor = parse.next_cursor(page)
            if cursor is None:
                return
            if cursor in cursors:
                break
            cursors.append(cursor)
        raise Unknown(f"The helpdesk's list of {key} does not come to an end.")


def _joined(scopes: frozenset[str]) -> str:
    return " ".join(sorted(scopes))


def _record(found: parse.Fields) -> TokenRecord:
    return parse.token_record(found.get("token"))


def _must_be(found: int, wanted: int) -> None:
    if found != wanted:
        raise Unknown("The helpdesk's answer is about something else than was asked for.")


def _token_refusal(answer: Answer, secrets: list[str]) -> Broken | GiveUp:
    """A refusal where Keydesk's own client credentials were shown."""
    said = problem(answer, secrets=secrets)
    is_about_us = answer.status in {401, 403} and said.code not in _OUR_REQUEST_REFUSED
    if said.code in _OUR_ACCESS_REFUSED or is_about_us:
        return Broken(said.sentence)
    return GiveUp(said.sentence, code=said.code)


def _bearer_refusal(answer: Answer, access_token: str) -> GiveUp:
    """A refusal of an access token; whose it was, the caller knows."""
    said = problem(answer, secrets=[access_token])
    return GiveUp(said.sentence, code=_CODES.get(answer.status, said.code))


def _refuse_unless_gone(answer: Answer, access_token: str) -> None:
    """A 404 means gone only in the helpdesk's own words: another's 404 page is `Unknown`."""
    refusal = _bearer_refusal(answer, access_token)
    if answer.status != 404:
        raise refusal
