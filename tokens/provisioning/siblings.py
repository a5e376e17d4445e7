"""May one user hold several tokens of our client? Found out at the first consent that could tell, for good.

While it is unknown, another living token of the same person is looked at right before an exchange and right
after it: dead then by its id and in the list, beside the new one proved alive, means that the helpdesk keeps
one token per user.
"""

from contextlib import suppress

from tokens.capabilities import SEVERAL_GRANTS, SHOWS
from tokens.connectors.base import ConnectorError
from tokens.models import Credential, Grant
from tokens.operations import capabilities
from tokens.provisioning.inventory import take_list
from tokens.provisioning.line import Later, Line
from tokens.provisioning.looks import look
from tokens.queries import inventories as lists
from tokens.states import GrantState


def living(line: Line, credential: Credential) -> Grant | None:
    """A pair of the same person's other access that the helpdesk shows now; None where nothing can be learned."""
    if line.can(SEVERAL_GRANTS) is not None:
        return None
    sibling = capabilities.siblings(credential, now=line.clock()).first()
    return sibling if sibling is not None and _is_shown(line, sibling) else None


def learn_from(line: Line, sibling: Grant | None, *, new: Grant) -> None:
    """What has become of the sibling, if the new pair was proved; nothing is learned where its own refresh explains it."""
    if sibling is None or not Grant.objects.filter(pk=new.pk, state=GrantState.LIVE).exists():
        return
    is_shown = _is_shown(line, sibling)
    if is_shown is False and not _does_the_list_lack(line, sibling):
        return
    if is_shown is None or not capabilities.is_untouched(sibling, now=line.clock()):
        return
    line.learn(SEVERAL_GRANTS, is_so=is_shown)


def _is_shown(line: Line, grant: Grant) -> bool | None:
    """Whether the helpdesk shows a token; None when it did not say. Nobody's exchange fails over it.

    A token that may only be asked itself says nothing once it is dead: it may have ended by itself.
    """
    with suppress(ConnectorError, Later):
        if look(line, grant) is not None:
            return True
        return None if line.can(SHOWS) is False else False
    return None


def _does_the_list_lack(line: Line, grant: Grant) -> bool:
    """Whether a list taken now lacks it too: one 404 is no proof of what is believed for good."""
    assert grant.remote_id is not None
    with suppress(ConnectorError, Later):
        return not lists.listed(take_list(line)).filter(remote_id=grant.remote_id).exists()
    return False
