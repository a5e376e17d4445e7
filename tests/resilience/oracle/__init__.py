"""The independent judge: what the helpdesk's own log, the database and the audit say of the promises.

It imports nothing of the portal, of its apps or of Django. What it may take for granted stands in
`times`; how it reads in `database`, `desk` and `ledger`; what it judges in `rules`, a rule a function.
"""

from tests.resilience.oracle.judge import Oracle
from tests.resilience.oracle.rules.finding import Violation
from tests.resilience.oracle.times import Times

__all__ = ["Oracle", "Times", "Violation"]
