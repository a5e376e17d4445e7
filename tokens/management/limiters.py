"""Which budget does a command stand in line with?"""

from django.conf import settings

from tokens.connectors.base import HelpdeskConfig
from tokens.limiter import Limiter, LimiterDown, LocalLimiter, shared_limiter


def limiter_for(config: HelpdeskConfig) -> Limiter:
    """The budget all workers share; where its Redis is away, a pace of our own."""
    if settings.REDIS_URL:
        try:
            shared_limiter().state(config.slug)
            return shared_limiter()
        except LimiterDown:
            pass
    return LocalLimiter({config.slug: config.requests_per_minute})
