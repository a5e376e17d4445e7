"""A worker or a beat that is started again the moment it dies, as any process manager does.

`python -m tests.resilience.processes worker-1`: the parent has everything imported and only forks, so that
a thousand deaths are minutes, not hours. Crash points and a wrong portal are patched in before the fork.
"""

import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import FrameType

import django

django.setup()

from demo.supervisor import die_with_parent  # noqa: E402 - after django.setup
from portal.celery import app  # noqa: E402
from tests.resilience import crash, wrong  # noqa: E402

FOLDER = Path(os.environ["KEYDESK_CRASHES"])
_WORKER = (
    "worker", "--pool", "threads", "--concurrency", "8", "--loglevel", "INFO",
    "--without-gossip", "--without-mingle", "--without-heartbeat",
)  # fmt: skip
_IMPORTED_LATE = (
    "celery.bin.celery", "celery.apps.worker", "celery.apps.beat", "celery.concurrency.thread",
    "celery.worker.components", "celery.worker.consumer", "celery.worker.control", "celery.worker.loops",
    "kombu.asynchronous", "kombu.transport.redis", "portal.beat", "django.db.models.sql.compiler",
)  # fmt: skip
"""What Celery and Django import only when they begin; the first brings a shell and its colours along."""


class Keeper:
    """Keeps one child alive until it is asked to end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.child = 0
        self.is_ending = False

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._end)
        while not self.is_ending:
            self.child = os.fork()
            if self.child == 0:
                _live(self.name)
            os.waitpid(self.child, 0)

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_ending = True
        os.kill(self.child, signal.SIGTERM)


def _live(name: str) -> None:
    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    place = FOLDER / "alive"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(str(os.getpid()))
    status = 1
    try:
        if name.startswith("worker"):
            app.worker_main([*_WORKER, "--hostname", f"{name}@%h"])
        else:
            schedule = FOLDER / f"{name}.schedule"
            app.start(["beat", "--pidfile=", "--schedule", str(schedule)])
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _import_everything() -> None:
    """Once, before the first fork, so that a death costs no import."""
    app.finalize()
    app.loader.import_default_modules()
    for name in _IMPORTED_LATE:
        import_module(name)


def main() -> None:
    crash.install(FOLDER)
    wrong.install(os.environ.get("KEYDESK_WRONG", ""))
    _import_everything()
    Keeper(sys.argv[1]).run()


if __name__ == "__main__":
    main()
