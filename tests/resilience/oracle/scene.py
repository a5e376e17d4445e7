"""A world made by hand, to show that each rule sees what it is for: rows by SQL, a helpdesk of a few lines.

`Scene` begins with one sound life: asked, approved, connected, proved, handed out. A test then
changes what it wants to be wrong. Nothing of the portal is imported; the schema is a migrated file.
"""

import hashlib
import itertools
import json
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.resilience.oracle import Oracle, Times, Violation

TIMES = Times(
    minimum_age=8, inventory_every=4, sweep_every=1.5, due_every=0.7, claim=3.5, deadline=1.5,
    send_within=1, access_least=4, slot=0.01, backoff=2, noise=2,
)  # fmt: skip
CLIENT, ADA, BEN, CLEO, DESK_ADA = "keydesk", 1, 2, 3, 9001
SCOPES = "tickets:read users:read"


def stamp(at: float) -> str:
    """As the portal's SQLite keeps a time."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def iso(at: float | None) -> str | None:
    """As the helpdesk writes a time."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()


@dataclass
class FakeDesk:
    """The control of a helpdesk: what `events` and `tokens` hold is what it says."""

    events: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __enter__(self) -> "FakeDesk":
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(desk.answer(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str) -> dict[str, Any]:
        parts = urlsplit(path)
        if parts.path == "/control/tokens":
            return {"tokens": list(self.tokens.values()), "has_more": False}
        after = int(parse_qs(parts.query)["after"][0])
        return {"events": self.events[after:], "has_more": False}

    def tell(self, kind: str, at: float, token: int | None = None, **detail: Any) -> None:
        """One more event."""
        user = detail.pop("user", DESK_ADA)
        self.events.append({
            "id": len(self.events) + 1, "at": iso(at), "kind": kind, "token_id": token,
            "user_id": user, "client": CLIENT, "detail": detail,
        })  # fmt: skip


@dataclass
class Scene:
    """One sound life in a database of its own and on a helpdesk of its own."""

    folder: Path
    schema: Path
    desk: FakeDesk
    now: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.database = self.folder / "portal.sqlite3"
        self.database.write_bytes(self.schema.read_bytes())
        self.lite = sqlite3.connect(self.database, isolation_level=None)
        self.lite.execute("PRAGMA synchronous = OFF")
        self.generations = itertools.count(1)
        self.ledger = self.folder / "ledger.jsonl"
        self.times = TIMES
        self._people()
        self.request = self.ask()
        self.credential = self.order(self.request)
        self.grant = self.exchange(self.credential, ago=30)
        self.token = self.live(self.grant, ago=30, token=101)

    # --- Rows ---------------------------------------------------------------------------------

    def row(self, table: str, **values: object) -> int:
        """One more row; what is not named and not nullable is empty."""
        for _, name, kind, is_needed, default, is_key in self.lite.execute(
            f'PRAGMA table_info("{table}")'
        ):
            if is_needed and not is_key and default is None:
                values.setdefault(name, _nothing(kind))
        names, marks = ", ".join(f'"{n}"' for n in values), ", ".join("?" for _ in values)
        sql = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'
        return self.lite.execute(sql, [*values.values()]).lastrowid or 0

    def change(self, table: str, row: int, **values: object) -> None:
        """Other values in one row."""
        sets = ", ".join(f'"{name}" = ?' for name in values)
        self.lite.execute(f'UPDATE "{table}" SET {sets} WHERE id = ?', [*values.values(), row])

    def run(self, sql: str) -> None:
        self.lite.execute(sql)

    def audit(self, event: str, kind: str, target: int, ago: float, **body: object) -> None:
        self.row(
            "accounts_auditevent", at=self.at(ago), event=event, actor="system",
            target_type=kind, target_id=str(target), body=json.dumps(body),
        )  # fmt: skip

    def at(self, ago: float) -> str:
        return stamp(self.now - ago)

    def _people(self) -> None:
        for number in (ADA, BEN, CLEO):
            self.row("accounts_user", id=number, identity=f"person {number}")
        self.row("tokens_helpdesk", id=1, slug="production", capabilities="{}")
        self.row("tokens_helpdeskuser", id=1, helpdesk_id=1, remote_id=DESK_ADA)
        self.row("tokens_accessprofile", id=1, helpdesk_id=1, slug="read", current_id=1)
        self.row(
            "tokens_profileversion", id=1, profile_id=1, number=1, scopes=SCOPES,
            approvals_needed=1, longest_days=30,
        )  # fmt: skip

    # --- A sound life -------------------------------------------------------------------------

    def ask(self, *, ago: float = 40, by: int = BEN) -> int:
        """Asked and approved, by one person."""
        request = self.row(
            "tokens_accessrequest", requester_id=ADA, acts_as_id=1, profile_id=1,
            profile_version_id=1, scopes=SCOPES, days=30, state="approved", revision=1,
            approvals=1, granted_scopes=SCOPES, granted_days=30, submission_key=f"key {ago}",
        )  # fmt: skip
        self.decide(request, by=by, ago=ago)
        self.audit("request.submitted", "AccessRequest", request, ago)
        return request

    def decide(self, request: int, *, by: int, ago: float = 39, verdict: str = "approve") -> int:
        event = "request.approved" if verdict == "approve" else "request.denied"
        self.audit(event, "AccessRequest", request, ago)
        return self.row(
            "tokens_decision", access_request_id=request, revision=1, approver_id=by,
            requester_id=ADA, verdict=verdict, scopes=SCOPES, days=30,
        )  # fmt: skip

    def order(self, request: int, *, ago: float = 38, client_id: str = "") -> int:
        credential = self.row(
            "tokens_credential", client_id=client_id or f"kd_production_{request}", helpdesk_id=1, owner_id=ADA,
            acts_as_id=1, profile_version_id=1, scopes=SCOPES, days=30, state="active",
            issued_at=self.at(ago), lives_until=self.at(ago - 30 * 86_400),
        )  # fmt: skip
        self.change("tokens_accessrequest", request, credential_id=credential)
        self.audit("credential.ordered", "Credential", credential, ago, request=request)
        self.audit("credential.activated", "Credential", credential, ago)
        return credential

    def sent(
        self, credential: int | None, *, ago: float, purpose: str = "exchange", **more: Any
    ) -> int:
        """A call that left; its row first."""
        terms = {"state": "sent", "generation": next(self.generations), "asked_access_seconds": 12,
                 "asked_refresh_seconds": 150}  # fmt: skip
        grant = self.row("tokens_grant", **{
            "helpdesk_id": 1, "credential_id": credential, "purpose": purpose,
            "intended_at": self.at(ago), "sent_at": self.at(ago), **terms, **more,
        })  # fmt: skip
        self.audit("grant.sent", "Grant", grant, ago)
        return grant

    def exchange(self, credential: int | None, *, ago: float, **more: Any) -> int:
        return self.sent(credential, ago=ago, **more)

    def make(self, token: int, *, ago: float, life: float = 36, **more: Any) -> None:
        """The helpdesk makes a pair."""
        made, ends = self.now - ago, self.now - ago + life
        facts = {
            "scopes": SCOPES.split(), "expires_at": iso(ends), "refresh_expires_at": iso(ends + 99),
            "access_token": hashlib.sha256(self.secret(token).encode()).hexdigest()[:16], **more,
        }  # fmt: skip
        replaces = facts.get("replaces")
        self.desk.tell(
            "token.refreshed" if replaces else "token.issued", made, token,
            grant_type="authorization_code", **facts,
        )  # fmt: skip
        self.desk.tokens.pop(replaces or 0, None)
        self.desk.tokens[token] = {
            "id": token, "client": CLIENT, "user_id": facts.get("user", DESK_ADA),
            "scopes": facts["scopes"], "created_at": iso(made), "expires_at": facts["expires_at"],
            "refresh_expires_at": facts["refresh_expires_at"], "access": "live", "refresh": "live",
        }  # fmt: skip

    def live(
        self, grant: int, *, ago: float, token: int, life: float = 36, is_looked_at: bool = True,
        **more: Any,
    ) -> int:  # fmt: skip
        """Answered, looked at and proved, right after it was sent."""
        self.make(token, ago=ago - 0.01, life=life, **more)
        if is_looked_at:
            self.desk.tell(
                "request.served", self.now - ago + 0.15, token, method="GET", status=200,
                path="/api/v2/oauth/tokens/current",
            )  # fmt: skip
        self.change(
            "tokens_grant", grant, state="live", answered_at=self.at(ago - 0.1), remote_id=token,
            remote_user_id=DESK_ADA, scopes=SCOPES, proved_at=self.at(ago - 0.2),
            serve_until=self.at(ago - life * 0.75), access_expires_at=self.at(ago - life),
        )  # fmt: skip
        self.audit("grant.answered", "Grant", grant, ago - 0.1)
        self.audit("grant.proved", "Grant", grant, ago - 0.2)
        return token

    def hand_out(
        self, *, ago: float, told: float, token: int = 101, grant: int = 0, waited: float = 0.1
    ) -> None:
        """A client is given the token, and the portal keeps a row of it. `waited`: since it asked."""
        self.row(
            "tokens_fetch", credential_id=self.credential, grant_id=grant or self.grant,
            at=self.at(ago),
        )  # fmt: skip
        self.note(
            at=self.now - ago - waited, answered_at=self.now - ago + 0.1,
            client_id=f"kd_production_{self.request}", access_token=self.secret(token), expires_in=told,
        )  # fmt: skip

    def replace(self, *, ago: float, token: int = 102) -> int:
        """A sound refresh of the pair in clients' hands."""
        grant = self.sent(self.credential, ago=ago, purpose="refresh", replaces_id=self.grant)
        self.change("tokens_grant", self.grant, state="replaced", settled_at=self.at(ago - 0.2))
        self.audit("grant.replaced", "Grant", self.grant, ago - 0.2)
        self.live(grant, ago=ago, token=token, replaces=101)
        return grant

    def doom(self, grant: int, *, ago: float) -> None:
        self.change("tokens_grant", grant, state="doomed", doomed_at=self.at(ago))
        self.audit("grant.doomed", "Grant", grant, ago)

    def revoke(self, *, ago: float, state: str = "revoking") -> None:
        """Its owner ends the access."""
        self.change("tokens_credential", self.credential, state=state, ending_since=self.at(ago))
        self.audit("credential.revoked", "Credential", self.credential, ago)
        if state == "revoked":
            self.audit("credential.ended", "Credential", self.credential, ago - 1)
        self.doom(self.grant, ago=ago)

    def bury(self, grant: int, *, ago: float) -> None:
        self.change(
            "tokens_grant", grant, state="gone", deleted_at=self.at(ago), gone_at=self.at(ago)
        )
        self.audit("grant.deleted", "Grant", grant, ago)
        self.audit("grant.buried", "Grant", grant, ago)

    def delete(self, token: int, *, ago: float, because: str = "deleted by id") -> None:
        """The helpdesk deletes a token."""
        self.desk.tell("token.deleted", self.now - ago, token, because=because, by=7)
        self.desk.tokens.pop(token)

    def inventory(
        self,
        *,
        ago: float,
        finished: float | None = None,
        is_complete: bool = True,
        error: str = "",
    ) -> int:
        end = ago - 0.1 if finished is None else finished
        return self.row(
            "tokens_inventoryrun", helpdesk_id=1, started_at=self.at(ago),
            finished_at=self.at(end), is_complete=is_complete, error=error,
        )  # fmt: skip

    def note(self, **facts: object) -> None:
        with self.ledger.open("a") as ledger:
            ledger.write(json.dumps(facts) + "\n")

    @staticmethod
    def secret(token: int) -> str:
        """The access token whose id on the helpdesk is `token`."""
        head = "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9"
        return f"{head}.{'0' * 20}{token}.{'1' * 30}"

    # --- The judge ----------------------------------------------------------------------------

    def oracle(self, **more: Any) -> Oracle:
        return Oracle(
            database_url=f"sqlite:///{self.database}", helpdesk_address=self.desk.address,
            client_id=CLIENT, helpdesk_slug="production", ledger_path=self.ledger,
            times=self.times, requests_per_minute=700, window=60, **more,
        )  # fmt: skip

    def found(self, **more: Any) -> set[str]:
        """The names of the rules that complain, once patience has run out."""
        return {violation.rule for violation in self.violations(**more)}

    def violations(self, *, at_rest: bool = False, **more: Any) -> list[Violation]:
        oracle = self.oracle(**more)
        if at_rest:
            return oracle.at_rest(within=0.1)
        found = oracle.look()
        oracle.age_suspicions(60)
        return found + oracle.look()


def _nothing(kind: str) -> object:
    """An empty value of a column's kind."""
    if kind.startswith("datetime"):
        return stamp(0)
    return 0 if "int" in kind or kind == "bool" else ""
