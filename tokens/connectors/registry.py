"""Which connector speaks to which kind of helpdesk. A new kind is a folder beside `zendesk` and a line here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tokens.connectors.base import Connector, Gate, HelpdeskConfig
from tokens.connectors.zendesk.authorize import authorize_url as zendesk_authorize_url
from tokens.connectors.zendesk.connector import ZendeskConnector


@dataclass(frozen=True)
class Kind:
    """What there is for one kind of helpdesk."""

    connector: Callable[[HelpdeskConfig, Gate], Connector]
    authorize_url: Callable[..., str]


KINDS = {"zendesk": Kind(ZendeskConnector, zendesk_authorize_url)}


def connector_for(config: HelpdeskConfig, gate: Gate) -> Connector:
    """The connector to a configured helpdesk. Raises `ValueError` for a kind nobody knows."""
    return _kind(config).connector(config, gate)


def authorize_url_for(
    config: HelpdeskConfig,
    *,
    redirect_uri: str,
    scopes: Iterable[str],
    state: str,
    code_challenge: str,
) -> str:
    """Where an agent consents. `code_challenge` is S256. Raises `ValueError` for a kind nobody knows."""
    return _kind(config).authorize_url(
        base_url=config.url,
        client_id=config.client_id,
        redirect_uri=redirect_uri,
        scopes=scopes,
        state=state,
        code_challenge=code_challenge,
    )


def _kind(config: HelpdeskConfig) -> Kind:
    try:
        return KINDS[config.kind]
    except KeyError:
        raise ValueError(
            f"{config.slug} is of kind {config.kind!r}; the kinds known are: {', '.join(KINDS)}."
        ) from None
