"""What lies on a fresh helpdesk: customers, who are firms with a shared mailbox, and their tickets."""

from dataclasses import dataclass

SUPPORT, BILLING, EMEA = 360000101, 360000102, 360000103

# The Canada office is here for a reason: a partial search for ada@acme.test finds it too.
CUSTOMERS = {
    360002001: ("Harbour Clinic, front desk", "frontdesk@harbour-clinic.test"),
    360002002: ("Nordlys Outdoor, warehouse", "warehouse@nordlys.test"),
    360002003: ("Brightwater Dental, accounts", "accounts@brightwater.test"),
    360002004: ("Tulip Cycles, shop", "shop@tulipcycles.test"),
    360002005: ("Meridian Books, orders", "orders@meridian-books.test"),
    360002006: ("Acme Canada office", "canada@acme.test"),
}


@dataclass(frozen=True)
class Story:
    """One ticket: what is asked, and what was answered, if anything was."""

    subject: str
    asks: str
    answer: str
    status: str
    kind: str
    priority: str
    tags: tuple[str, ...]
    group: int
    customer: int


_ASKS = (
    (
        "Delivery arrived with two boxes missing",
        "The pallet came this morning with six boxes instead of eight. Can you trace the other two?",
        "Both boxes are at the depot and go out with tomorrow's van.",
        "incident", ("delivery", "missing"), SUPPORT,
    ),
    (
        "Invoice shows the old VAT number",
        "Our VAT number changed in March, but the last invoice still has the old one.",
        "Corrected. A new invoice is on its way to this address.",
        "task", ("invoice", "vat"), BILLING,
    ),
    (
        "Cannot sign in since the update",
        "After the update the sign-in page says the session ended, again and again.",
        "Please clear the cookies of our site once; a fix is live since noon.",
        "problem", ("sign_in",), EMEA,
    ),
    (
        "Please add a second delivery address",
        "We opened a second shop. Orders placed on Fridays should go there.",
        "",
        "task", ("address",), SUPPORT,
    ),
    (
        "Charged twice for one order",
        "The card statement shows the same amount on two days in a row.",
        "The second charge was a reservation and has been released.",
        "incident", ("invoice", "refund"), BILLING,
    ),
    (
        "How do we export last year's orders?",
        "The accountant asks for all orders of last year as one file.",
        "Reports, then Orders, then Export: choose the year at the top.",
        "question", ("export", "report"), SUPPORT,
    ),
    (
        "Scanner does not connect any more",
        "The hand scanner pairs, but no scan reaches the order page.",
        "",
        "problem", ("scanner", "hardware"), EMEA,
    ),
    (
        "Opening hours around the holidays",
        "Until when can we order to have everything before the holidays?",
        "Orders until the 18th arrive in time; the list per region is on the help page.",
        "question", ("holidays",), SUPPORT,
    ),
)  # fmt: skip
_ANSWERED = ("open", "pending", "solved", "open", "solved", "hold", "closed", "solved")
_PRIORITIES = ("normal", "high", "low", "urgent", "normal")
ROUNDS = 5


def _story(place: int) -> Story:
    subject, asks, answer, kind, tags, group = _ASKS[place % len(_ASKS)]
    customers = list(CUSTOMERS)
    return Story(
        subject=f"{subject} (order {4100 + 37 * place})",
        asks=asks,
        answer=answer,
        status=_ANSWERED[(place + place // len(_ASKS)) % len(_ANSWERED)] if answer else "new",
        kind=kind,
        priority=_PRIORITIES[place % len(_PRIORITIES)],
        tags=tags,
        group=group,
        customer=customers[(place + place // len(customers)) % len(customers)],
    )


TICKETS = tuple(_story(place) for place in range(ROUNDS * len(_ASKS)))
