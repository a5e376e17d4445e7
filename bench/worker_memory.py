"""How much memory a worker with sixteen threads holds after it has worked off some thousand jobs."""

from pathlib import Path

from bench.stage import ROWS, now, staged, until

PER_MINUTE = 30_000
JOBS = min(2000, ROWS // 2)


def megabytes(folder: Path) -> float:
    """The worker's proportional set size (PSS) in MB. Raises `AssertionError` when the work is not done in time."""
    with staged(folder, per_minute=PER_MINUTE) as stage:
        stage.fill(due_in=86_400, jobs=True)
        stage.stack.start_portal()
        done = "select count(*) from tokens_job where done_at is not null"
        began = now()
        until(lambda: stage.portal(done)[0][0] >= JOBS, seconds=400, every=0.5)
        seconds = (now() - began).total_seconds()
        found = _memory(stage.process("worker").pid)
        print(
            f"  {JOBS} jobs in {seconds:.0f} s; PSS {found['Pss']:.0f} MB, RSS {found['Rss']:.0f} MB"
        )
    return found["Pss"]


def _memory(process: int) -> dict[str, float]:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    rows = (line.split() for line in lines)
    return {row[0].rstrip(":"): int(row[1]) / 1024 for row in rows}
