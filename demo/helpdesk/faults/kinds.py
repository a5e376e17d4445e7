"""Every kind of fault there is, by name."""

from demo.helpdesk.faults import answers, lists, pairs, records, silences
from demo.helpdesk.faults.kind import Kind

KINDS: dict[str, Kind] = {
    **silences.KINDS,
    **answers.KINDS,
    **pairs.KINDS,
    **records.KINDS,
    **lists.KINDS,
}
