"""What admins do meanwhile: end everything of somebody, freeze and thaw, take and confirm the list, sign in again."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

import requests

from tests.resilience.city import City
from tests.stack import manage
from tests.story import Actor

_PERSON = "SELECT id, name FROM accounts_user WHERE name = ?"
_PROFILE = """
    SELECT p.id, v.name FROM tokens_accessprofile p JOIN tokens_profileversion v ON v.id = p.current_id
    WHERE p.slug = ?
"""
_HELPDESK = "SELECT id, name FROM tokens_helpdesk WHERE slug = ?"
SUBJECTS = {
    ("person", _PERSON, "Piotr Wolny"): 4, ("person", _PERSON, "Lena Marsh"): 4,
    ("profile", _PROFILE, "update-tickets"): 3, ("helpdesk", _HELPDESK, "production"): 1,
}  # fmt: skip
"""Of what all access is ended, where its number and name are found, and how often."""
RESTORES = 2
"""After so many backups none comes any more: nobody gets anything new until a list is whole and confirmed."""


class Council:
    """One admin who does a rare thing every few seconds."""

    def __init__(self, city: City, *, seed: int) -> None:
        self.city = city
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.broken: list[str] = []
        self._admin: Actor | None = None

    def live(self, is_over: Callable[[], bool]) -> None:
        """Go on until told that it is over; leave nothing frozen behind."""
        acts: dict[Callable[[], object], float] = {
            self.end_everything: 3, self.freeze: 3, self.take_list: 3, self.confirm: 3,
            self.come_again: 3, self.trespass: 3, self.restore: 0.3,
        }  # fmt: skip
        while not is_over():
            self._do(self.random.choices(list(acts), list(acts.values()))[0])
            if self.done["restore"] >= RESTORES:
                acts.pop(self.restore, None)
            self.give_word()
            if self._is_frozen():
                self._do(self.thaw)
            time.sleep(self.random.uniform(1, 4))
        for _ in range(20):
            self._do(self.confirm)
            if self._do(self.thaw):
                return
            time.sleep(0.5)

    def _do(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except requests.RequestException:
            self.done["unanswered"] += 1
        except AssertionError as error:
            self.done["surprised"] += 1
            if "something went wrong" in str(error).lower():
                self.broken.append(str(error)[:400])
        else:
            self.done[act.__name__] += 1
            return True
        return False

    @property
    def admin(self) -> Actor:
        if self._admin is None or self._is_out(self._admin):
            self._admin = Actor(self.city.address("portal"), "omar").sign_in()
        return self._admin

    @staticmethod
    def _is_out(admin: Actor) -> bool:
        """Whether the page in front of the admin asks to sign in: a session ended whose end was not heard of."""
        return "Sign in with company sign-in" in admin.text

    def end_everything(self) -> None:
        """All access of a person, a profile or the whole helpdesk, by the big red switch."""
        ((kind, question, name),) = self.random.choices(list(SUBJECTS), list(SUBJECTS.values()))
        found = self.city.rows.one(question, name)
        if found is None:
            return
        address = f"/emergencies?subject={kind}:{found[0]}"
        self.admin.open(address)
        if "Confirm it is you" in self.admin.text:
            self.admin.confirm_it_is_me()
            self.admin.open(address)
        self.admin.press("End everything", reason="A drill.", name=found[1])

    def freeze(self) -> None:
        """No new access for a moment."""
        self._press("/operations/production/freeze", "Freeze new access", reason="A drill.")
        time.sleep(self.random.uniform(0.2, 4))
        self.thaw()

    def thaw(self) -> None:
        """New access again, if it was held."""
        self.admin.open("/operations")
        with suppress(AssertionError):
            self.admin.press("End the freeze")
            self._confirmed("/operations", "End the freeze")
        assert not self._is_frozen()

    def _is_frozen(self) -> bool:
        return bool(
            self.city.rows.count("SELECT count(*) FROM tokens_helpdesk WHERE frozen_at IS NOT NULL")
        )

    def take_list(self) -> None:
        """The list of all tokens, now."""
        self._press("/operations", "Take the list now")

    def confirm(self) -> None:
        """Give a person's word on the newest list."""
        self._press("/operations/production/confirm", "Confirm the list")

    def give_word(self) -> None:
        """A list that was held back, or that a restored backup asks for, waits for a person: confirm it."""
        if self.city.rows.count(
            "SELECT count(*) FROM tokens_inventoryrun, tokens_helpdesk"
            " WHERE is_complete AND confirmed_at IS NULL"
            " AND (held_back > 0 OR restored_at <= started_at)"
        ):
            self._do(self.confirm)

    def come_again(self) -> None:
        """Sign out and in."""
        leaves, self._admin = self.admin, None
        leaves.open("/").press("Sign out")
        self.admin.open("/")

    def trespass(self) -> None:
        """Somebody goes where they may not, and comes back from no trip."""
        actor = Actor(self.city.address("portal"), "lena").sign_in()
        for address, right in (
            ("/operations", HTTPStatus.FORBIDDEN),
            ("/helpdesks/production/callback?state=nobodys&code=nothing", HTTPStatus.BAD_REQUEST),
        ):
            found = actor.open(address).answer.status_code
            if found != right:
                self.broken.append(f"{address} answered {found} to somebody who may not.")
        self._send_a_form_to_what_is_not_theirs(actor)

    def _send_a_form_to_what_is_not_theirs(self, actor: Actor) -> None:
        other = self.city.rows.one(
            "SELECT held.id FROM tokens_credential held, accounts_user owner"
            " WHERE owner.id = held.owner_id AND owner.name <> ?",
            actor.person.name,
        )
        if other is None:
            return
        actor.open("/requests/new")
        asks = [
            form
            for form in actor.page.forms
            if any("Send request" in text for text, _, _ in form.buttons)
        ]
        assert asks, f"No form to ask with: {actor.text[:300]}"
        form = asks[0]
        form.action = f"/credentials/{other[0]}/revoke"
        found = actor.press("Send request").answer.status_code
        self.done["sent what is not theirs"] += 1
        if found != HTTPStatus.NOT_FOUND:
            self.broken.append(f"A form to {form.action} was answered {found}.")

    def restore(self) -> None:
        """As after a backup: frozen until an admin has confirmed the list, had at once or by a worker later."""
        done = manage(dict(self.city.environment), "reconcile", "--restored")
        assert "new access is frozen" in done.stdout, done.stdout + done.stderr

    def _press(self, address: str, button: str, **fields: str) -> None:
        self.admin.open(address).press(button, **fields)
        self._confirmed(address, button, **fields)

    def _confirmed(self, address: str, button: str, **fields: str) -> None:
        """Where it is asked who one is, say so and press again."""
        if "Confirm it is you" in self.admin.text:
            self.admin.confirm_it_is_me()
            self.admin.open(address).press(button, **fields)
