"""Where may a process die? Every place in the product that commits, and every place that calls the helpdesk.

Read from the source, so that a new one cannot be forgotten: the run that dies at every point fails when it
has not come to one of them.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
WRITES = {
    "save", "create", "update", "delete", "bulk_create", "bulk_update", "get_or_create",
    "update_or_create", "aupdate", "acreate", "asave",
}  # fmt: skip
ROOMS = ("accounts/audit.py", "accounts/operations.py", "tokens")
_NOT_ROOMS = ("tokens/migrations", "tokens/management", "tokens/models", "tokens/connectors")
"""Commands are run by hand, by a person who sees how they end; none of them runs in the storm's processes. The other
rooms hold nothing that commits or calls by itself; `points.unlisted` would tell."""
NOT_TABLES = {"hashlib", "hmac", "digest", "headers", "response", "session", "self.session"}
"""Whose `update` or `delete` is nothing the database hears of."""

APART = {
    "commit tokens.operations.catalogue.load": "a command that a person watches, in one transaction",
    "commit tokens.operations.catalogue._helpdesk": "within catalogue.load",
    "commit tokens.operations.catalogue._profile": "within catalogue.load",
    "commit tokens.operations.catalogue._retire_the_rest": "within catalogue.load",
    "commit tokens.operations.catalogue._scope": "within catalogue.load",
    "commit tokens.operations.sealed._again": "the command rotate_sealing_keys, a row at a time",
    "commit accounts.operations.deactivate": "no page or command calls it yet",
    "commit accounts.operations.reactivate": "no page or command calls it yet",
    "commit accounts.operations._switch": "within deactivate and reactivate",
    "commit accounts.operations.refuse_sign_in": "touches no token; test_sign_in.py",
    "commit accounts.operations.refuse_confirmation": "touches no token; test_sign_in.py",
    "commit tokens.operations.capabilities.forget": "an admin's button, and after a 403 where there was an answer; test_capabilities.py, test_operations.py",
    "commit tokens.operations.requests.close": "for leavers, whom no page or command names yet",
    "commit tokens.operations.helpdesks.freeze_restored": "the command reconcile --restored",
    "commit tokens.operations.emergencies._note": "for a row that cannot be ended; test_emergency.py",
    "call tokens.provisioning.people._known user": "a look, where a search finds nobody whom Keydesk knows; test_links.py",
    "commit tokens.operations.views.keep": "keeps how somebody looks at the queue, nothing more; test_queue.py",
    "commit tokens.operations.views.forget": "the same",
    "commit tokens.operations.comments.write": "touches no token; test_comments.py",
    "commit tokens.operations.holidays.add": "touches no token; test_calendar.py",
    "commit tokens.operations.holidays.remove": "touches no token; test_calendar.py",
    "commit tokens.operations.profiles.edit": "changes no access; test_profiles.py",
    "commit tokens.operations.profiles.make_version": "within profiles.edit and catalogue.load",
    "commit tokens.operations.profiles.confirm": "changes no access; test_profiles.py",
    "commit tokens.operations.profiles.drop": "changes no access; test_profiles.py",
    "commit tokens.operations.profiles.give_up": "within profiles.edit and catalogue.load",
    "commit tokens.operations.profiles._point": "within the three above",
    "commit tokens.operations.absence.name_stand_in": "touches no token; test_absence.py",
    "commit tokens.operations.absence.be_back": "touches no token; test_absence.py",
    "commit tokens.operations.absence._end_what_was": "within the two above",
    "commit tokens.operations.requests.escalate": "touches no token; test_leads.py",
    "commit tokens.messages.sending.put_off": "when a mail server or a destination does not take a message; test_messages.py, test_webhooks.py",
    "commit tokens.messages.sending._give_up": "when whom a message is for has left; test_messages.py",
    "commit tokens.messages.sending._blame": "when a message is not taken and the place answers the next; test_webhooks.py",
    "commit tokens.messages.sending._part": "when messages are refused together; test_messages.py, test_webhooks.py",
    "commit tokens.operations.messages.choose": "keeps how somebody wants their mail; test_messages.py",
    "commit tokens.outbox.release": "when a worker that is told to end has work in hand; test_outbox.py",
}
"""Places at which the storm need not die, with the reason."""


@cache
def places() -> frozenset[str]:
    """Each as `kind module.function`: a `commit` or a `call`."""
    found: set[str] = set()
    for path in _files():
        module = str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
        for function, node in _functions(ast.parse(path.read_text())):
            if _commits(node):
                found.add(f"commit {module}.{function}")
            found |= {f"call {module}.{function} {name}" for name in _calls(node)}
    return frozenset(found)


def _files() -> Iterator[Path]:
    for room in ROOMS:
        place = ROOT / room
        for path in [place] if place.suffix else sorted(place.rglob("*.py")):
            if not str(path.relative_to(ROOT)).startswith(_NOT_ROOMS):
                yield path


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every named function with its own statements; what a lambda or comprehension does is its function's."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield f"{prefix}{node.name}", node
        else:
            yield from _functions(node, prefix)


def _commits(function: ast.AST) -> bool:
    return any(_is_atomic(node) or _is_write(node) for node in ast.walk(function))


def _is_atomic(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "atomic"


def _is_write(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if node.func.attr not in WRITES:
        return False
    owner = ast.unparse(node.func.value)
    return owner not in NOT_TABLES and not owner.endswith("connector")


def _calls(function: ast.AST) -> set[str]:
    """The connector's methods a function calls: `line.connector.refresh(…)`."""
    return {
        node.func.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value).endswith("connector")
    }
