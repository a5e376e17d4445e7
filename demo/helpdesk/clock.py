"""What time it is on this helpdesk: real time, or a time set over the control.

Every decision and every row of the helpdesk uses `now()`. Only the rate limit, which protects the
machine and not a rule, counts in `real_now()`.
"""

from datetime import UTC, datetime

from demo.helpdesk.models import ClockSetting

_known: list[ClockSetting | None] = []
"""The setting as this process, the only one, last read or wrote it; empty until then."""


def real_now() -> datetime:
    """This machine's time."""
    return datetime.now(UTC)  # noqa: TID251 - a process of its own has a clock of its own


def now() -> datetime:
    """The helpdesk's time: the one that was set (standing still, or running on), else real time."""
    if not _known:
        _known[:] = [ClockSetting.objects.first()]
    setting = _known[0]
    if setting is None:
        return real_now()
    if setting.is_running:
        return setting.now + (real_now() - setting.set_at)
    return setting.now


def set_now(moment: datetime | None, *, is_running: bool = False) -> None:
    """Let the helpdesk believe it is `moment`; None gives it real time back."""
    if moment is None:
        ClockSetting.objects.all().delete()
        _known[:] = [None]
        return
    told = {"now": moment, "is_running": is_running, "set_at": real_now()}
    _known[:] = [ClockSetting.objects.update_or_create(id=1, defaults=told)[0]]
