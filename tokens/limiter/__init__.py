"""When the next request to a helpdesk may go out: one budget per helpdesk, shared by all workers, urgent first.

`base` has the interface, `window` what is learned from answers, `shared` the budget in Redis (its scripts in
`scripts`), `local` the one of a process alone, `gate` what a connector's transport passes.
"""

from tokens.limiter.base import (
    LOOK_EVERY,
    Heard,
    Learner,
    Limiter,
    LimiterDown,
    LimiterState,
    Pace,
)
from tokens.limiter.gate import BudgetGate
from tokens.limiter.local import LocalLimiter
from tokens.limiter.shared import RedisLimiter, shared_limiter

__all__ = [
    "LOOK_EVERY",
    "BudgetGate",
    "Heard",
    "Learner",
    "Limiter",
    "LimiterDown",
    "LimiterState",
    "LocalLimiter",
    "Pace",
    "RedisLimiter",
    "shared_limiter",
]
