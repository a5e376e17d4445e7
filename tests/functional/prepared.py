"""What the demo's three months lack for a look at every page, made by real operations inside the stack.

`manage.py shell` runs `prepare` there once; it prints the kind, name, state and number of what there is then.
"""

from accounts import clock
from accounts.models import User
from tokens import capabilities
from tokens.models import AccessProfile, AccessRequest, Credential, Emergency
from tokens.operations import capabilities as learned
from tokens.operations import emergencies, profiles, requests
from tokens.queries.emergencies import find

COMMAND = "from tests.functional.prepared import prepare; prepare()"


def prepare() -> None:
    """An emergency, wider terms that wait, and a helpdesk where connecting ends other access."""
    _order_an_emergency()
    _propose_wider_terms()
    _keep_one_per_person()
    for asked in AccessRequest.objects.all():
        print("request", asked.script_name, asked.state, asked.pk)
    for held in Credential.objects.all():
        print("credential", held.script_name, held.state, held.pk)
    for profile in AccessProfile.objects.all():
        state = "proposed" if profile.proposed_id else "current"
        print("profile", f"{profile.helpdesk.slug}/{profile.slug}", state, profile.pk)
    for emergency in Emergency.objects.all():
        print("emergency", emergency.kind, "ordered", emergency.pk)


def _order_an_emergency() -> None:
    subject = find(f"profile:{_profile('sandbox', 'read-users').pk}")
    assert subject is not None
    now, reason = clock.now(), "The sandbox is handed over."
    made = emergencies.order(subject=subject, reason=reason, by=_person("omar"), now=now)
    emergencies.carry_on(emergency=made, now=now)


def _propose_wider_terms() -> None:
    profile = _profile("production", "read-rules")
    current = profile.current
    assert current is not None
    terms = {term: getattr(current, term) for term in profiles.TERMS} | {"policy_days": 60}
    profiles.edit(
        profile=profile, seen=current.number, terms=terms, by=_person("omar"), now=clock.now()
    )


def _keep_one_per_person() -> None:
    """Noor has access on the sandbox, and policy approves some more."""
    profile, now = _profile("sandbox", "read-tickets"), clock.now()
    assert profile.current is not None
    learned.learn(helpdesk=profile.helpdesk, name=capabilities.SEVERAL_GRANTS, is_so=False, now=now)
    wish = requests.Wish(
        profile=profile, scopes=profile.current.scopes, days=7, script_name="sandbox-labels",
        runs_where="server", purpose="Try the labels before production.",
    )  # fmt: skip
    requests.submit(wish=wish, by=_person("noor"), key="prepared sandbox-labels", now=now)


def _person(key: str) -> User:
    return User.objects.get(subject=key)


def _profile(helpdesk: str, slug: str) -> AccessProfile:
    rows = AccessProfile.objects.select_related("current", "helpdesk")
    return rows.get(helpdesk__slug=helpdesk, slug=slug)
