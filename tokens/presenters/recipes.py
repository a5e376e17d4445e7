"""How is a key used where the script runs? One recipe per place, with the addresses and the client id filled in.

A recipe never holds the secret: it says which environment variable or secret store it reads it from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tokens.models.requests import RunsWhere

SECRET = "KEYDESK_CLIENT_SECRET"  # noqa: S105 – the variable's name, not its value
ZENDESK = ".zendesk.com"


@dataclass(frozen=True)
class Facts:
    """What the recipes fill in."""

    token_address: str
    client_id: str
    helpdesk_url: str


@dataclass(frozen=True)
class Recipe:
    """One tab: what to do in sentences, what to copy, what to mind."""

    key: str
    label: str
    text: str
    code: str = ""
    note: str = ""


def recipes(facts: Facts, *, runs_where: str) -> list[Recipe]:
    """Every recipe, the one for where the script runs first."""
    made = [make(facts) for make in _RECIPES]
    first = CHOSEN.get(runs_where, "python")
    return sorted(made, key=lambda recipe: recipe.key != first)


CHOSEN: dict[str, str] = {
    RunsWhere.SERVER: "python",
    RunsWhere.GITHUB_ACTIONS: "github_actions",
    RunsWhere.POSTMAN: "postman",
    RunsWhere.N8N: "n8n",
    RunsWhere.POWER_AUTOMATE: "power_automate",
    RunsWhere.APPS_SCRIPT: "apps_script",
    RunsWhere.BY_HAND: "by_hand",
}


def _python(facts: Facts) -> Recipe:
    code = f"""\
import os
from itertools import islice

from authlib.integrations.requests_client import OAuth2Session
from zenpy import Zenpy
{_zenpy_address(facts.helpdesk_url)}
session = OAuth2Session(
    client_id="{facts.client_id}",
    client_secret=os.environ["{SECRET}"],
    token_endpoint="{facts.token_address}",
    grant_type="client_credentials",
)
session.fetch_token()
zendesk = Zenpy(subdomain="{_subdomain(facts.helpdesk_url)}", session=session, anonymous=True)

for ticket in islice(zendesk.tickets(), 5):
    print(ticket.id, ticket.subject)
"""
    return Recipe(
        "python", "Python",
        f"pip install authlib zenpy, and put the secret into the environment as {SECRET}. "
        "The session fetches a new token by itself whenever the old one runs out.",
        code,
        "Do not hand zenpy a bare oauth_token: it stops at the first expiry. Without zenpy, "
        f'session.get("{facts.helpdesk_url}/api/v2/tickets.json") works just as well.',
    )  # fmt: skip


def _zenpy_address(url: str) -> str:
    """Two more lines where the helpdesk is not at zendesk.com, which zenpy otherwise takes for granted."""
    parts = urlsplit(url)
    if parts.hostname and parts.hostname.endswith(ZENDESK):
        return ""
    return f"""
os.environ["ZENPY_FORCE_NETLOC"] = "{parts.netloc}"
os.environ["ZENPY_FORCE_SCHEME"] = "{parts.scheme}"
"""


def _subdomain(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return host.removesuffix(ZENDESK) if host.endswith(ZENDESK) else "demo"


def _curl(facts: Facts) -> Recipe:
    code = f"""\
TOKEN=$(printf 'user = "%s:%s"\\n' {facts.client_id} "${SECRET}" |
  curl --silent --show-error --fail --retry 5 --config - \\
    --data grant_type=client_credentials {facts.token_address} |
  sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/')

curl --fail --header "Authorization: Bearer $TOKEN" {facts.helpdesk_url}/api/v2/tickets.json
"""
    return Recipe(
        "curl", "curl",
        f"Put the secret into the environment as {SECRET}. Fetch a token at the start of each run.",
        code,
        "The secret goes to curl through its standard input, so that it does not show in the list "
        "of processes. A run longer than the token's life has to fetch again.",
    )  # fmt: skip


def _github_actions(facts: Facts) -> Recipe:
    code = f"""\
jobs:
  export:
    runs-on: ubuntu-latest
    env:
      {SECRET}: ${{{{ secrets.{SECRET} }}}}
    steps:
      - name: Fetch a token
        run: |
          TOKEN=$(printf 'user = "%s:%s"\\n' {facts.client_id} "${SECRET}" |
            curl --silent --show-error --fail --retry 5 --config - \\
              --data grant_type=client_credentials {facts.token_address} |
            jq --raw-output .access_token)
          echo "::add-mask::$TOKEN"
          echo "HELPDESK_TOKEN=$TOKEN" >> "$GITHUB_ENV"
      - name: Call the helpdesk
        run: |
          curl --fail --header "Authorization: Bearer $HELPDESK_TOKEN" \\
            {facts.helpdesk_url}/api/v2/tickets.json
"""
    return Recipe(
        "github_actions", "GitHub Actions",
        f"In the repository, open Settings, Secrets and variables, Actions, and add {SECRET}. "
        "The runner has to reach Keydesk's token address.",
        code,
        "The token is masked in the log. It is fetched once per job; a longer job fetches again.",
    )  # fmt: skip


def _postman(facts: Facts) -> Recipe:
    code = f"""\
Auth type:             OAuth 2.0
Grant type:            Client Credentials
Access Token URL:      {facts.token_address}
Client ID:             {facts.client_id}
Client Secret:         {{{{vault:{SECRET.lower()}}}}}
Scope:                 (leave empty)
Client Authentication: Send as Basic Auth header
Auto-refresh token:    on
"""
    return Recipe(
        "postman", "Postman",
        f"Keep the secret in Postman's vault as {SECRET.lower()}, then set this on the collection's "
        "Authorization tab and press Get New Access Token.",
        code,
        f"Call the helpdesk at {facts.helpdesk_url}/api/v2/…",
    )  # fmt: skip


def _n8n(facts: Facts) -> Recipe:
    code = f"""\
Credential type:  OAuth2 API
Grant Type:       Client Credentials
Access Token URL: {facts.token_address}
Client ID:        {facts.client_id}
Client Secret:    (paste it here; n8n keeps it encrypted)
Scope:            (leave empty)
Authentication:   Header
"""
    return Recipe(
        "n8n", "n8n or Make",
        "In n8n use an HTTP Request node with a generic OAuth2 credential, not the Zendesk node, "
        "which can only hold a token that never ends.",
        code,
        "In Make use HTTP, Make an OAuth 2.0 request, with the flow type Client Credentials and the "
        f"same values. Call {facts.helpdesk_url}/api/v2/…",
    )  # fmt: skip


def _power_automate(facts: Facts) -> Recipe:
    code = f"""\
1. Azure Key Vault, Get secret:  {SECRET.lower().replace("_", "-")}  (secure outputs: on)
2. HTTP
   Method:  POST
   URI:     {facts.token_address}
   Headers: Content-Type = application/x-www-form-urlencoded
   Body:    grant_type=client_credentials
   Authentication: Basic, username {facts.client_id}, password = the secret of step 1
   Settings: secure inputs and outputs on
3. HTTP
   Method:  GET
   URI:     {facts.helpdesk_url}/api/v2/tickets.json
   Headers: Authorization = concat('Bearer ', body('HTTP')?['access_token'])
"""
    return Recipe(
        "power_automate", "Power Automate",
        "The ready-made Zendesk connector cannot use this key. Three actions do the same; the first "
        "two stand at the start of the flow.",
        code,
        "A token is fetched in each run, so nothing in the flow ever goes stale.",
    )  # fmt: skip


def _apps_script(facts: Facts) -> Recipe:
    code = f"""\
function helpdeskToken() {{
  const cache = CacheService.getScriptCache();
  const kept = cache.get("token");
  if (kept) return kept;
  const secret = PropertiesService.getScriptProperties().getProperty("{SECRET}");
  const answer = UrlFetchApp.fetch("{facts.token_address}", {{
    method: "post",
    payload: {{ grant_type: "client_credentials" }},
    headers: {{ Authorization: "Basic " + Utilities.base64Encode("{facts.client_id}:" + secret) }},
  }});
  const token = JSON.parse(answer.getContentText());
  if (token.expires_in > 60) cache.put("token", token.access_token, Math.min(token.expires_in - 30, 21600));
  return token.access_token;
}}

function readTickets() {{
  const answer = UrlFetchApp.fetch("{facts.helpdesk_url}/api/v2/tickets.json", {{
    headers: {{ Authorization: "Bearer " + helpdeskToken() }},
  }});
  return JSON.parse(answer.getContentText()).tickets;
}}
"""
    return Recipe(
        "apps_script", "Apps Script",
        f"In the project's settings add the script property {SECRET}. Whoever may edit the script "
        "can read it, so keep the script to yourself.",
        code,
        "Google's servers have to reach Keydesk's token address.",
    )  # fmt: skip


def _by_hand(facts: Facts) -> Recipe:
    code = f"""\
read -rs HELPDESK_TOKEN    # paste the token, press Enter; it is not shown
curl --fail --header "Authorization: Bearer $HELPDESK_TOKEN" {facts.helpdesk_url}/api/v2/tickets.json
"""
    return Recipe(
        "by_hand", "By hand",
        "For a tool that can only hold a token, or for a look at the API: press Get a token now on "
        "the page of this access. The token works for hours, not days; then take the next one.",
        code,
        "A script that runs by itself stops when such a token ends. Give it the key instead.",
    )  # fmt: skip


_RECIPES: tuple[Callable[[Facts], Recipe], ...] = (
    _python,
    _curl,
    _github_actions,
    _postman,
    _n8n,
    _power_automate,
    _apps_script,
    _by_hand,
)
