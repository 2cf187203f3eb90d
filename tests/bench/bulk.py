"""Archives: what a second process saves, and what a hundred times as many lines cost in memory.

The first figure is one of the clock: it holds only where two cores are free, so the processor time stands beside it.

The command runs as a user runs it, in processes of its own. ``python -m tests.bench.bulk`` prints these rows alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.archive import cases, write
from tests.bench.table import Row

ROOT = Path(__file__).parents[2]
SMALL, LARGE = 1_000, 100_000  # minimal cases
LINES, ROUNDS = 50_000, 3  # of the comparison of processes: starting them must not count


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command: seconds on the clock, seconds of all processors, MiB at the peak of all its processes."""

    wall: float
    cpu: float
    peak: float


def rows(quick: bool = False) -> list[Row]:
    """The two figures; ``quick`` takes a tenth of the lines and one round."""
    part, rounds = (10, 1) if quick else (1, ROUNDS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        half = write(folder / "half", list(cases(LINES // part)))
        found = {jobs: [] for jobs in (1, 2)}
        for _ in range(rounds):
            for jobs, runs in found.items():
                runs.append(convert(half, jobs))
        small = convert(write(folder / "small", list(cases(SMALL))), 2)
        large = convert(write(folder / "large", list(cases(LARGE // part))), 2)
    wall = {jobs: median(run.wall for run in runs) for jobs, runs in found.items()}
    cpu = {jobs: median(run.cpu for run in runs) for jobs, runs in found.items()}
    busy = f"{wall[1]:.1f} s, {wall[2]:.1f} s; processor time {cpu[1]:.1f} s, {cpu[2]:.1f} s"
    rates = f"{LARGE // part} cases in {large.wall:.0f} s; {small.peak:.0f} MiB, {large.peak:.0f} MiB"
    return [
        Row("two processes, bulk, against one", wall[2] / wall[1], 0.6, "lower", busy),
        Row(
            f"memory of bulk, {LARGE // part:,} small cases against {SMALL:,}",
            large.peak / small.peak,
            1.1,
            "lower",
            rates,
        ),
    ]


def convert(path: Path, jobs: int) -> Run:
    """Convert the archive with so many processes; sums the greatest memory of each."""
    arguments = ("bulk", "to-fhir", str(path), "-o", str(path.with_suffix(".out")), "--jobs", str(jobs))
    start, peaks, ticks = time.monotonic(), dict[int, int](), dict[int, float]()
    process = subprocess.Popen([sys.executable, "-m", "adapter", *arguments], cwd=ROOT, stderr=subprocess.DEVNULL)
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        for pid in _family(process.pid):
            try:
                peaks[pid], ticks[pid] = _peak(pid), _seconds(pid)
            except (OSError, IndexError):  # it ended just now
                pass
        time.sleep(0.05)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise RuntimeError(f"the run ended with status {process.returncode}")
    # its own ru_maxrss would be no less than ours, from which it was forked
    ticks[process.pid] = ended[2].ru_utime + ended[2].ru_stime
    return Run(wall, sum(ticks.values()), sum(peaks.values()) / 1024)


def _family(root: int) -> list[int]:
    """The process and all that it started, and those theirs (Linux)."""
    found = [root]
    for pid in found:
        try:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except OSError:
            pass
    return found


def _peak(pid: int) -> int:
    """The greatest memory of one process in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _seconds(pid: int) -> float:
    """The processor time of one process."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    for row in rows(quick="--quick" in sys.argv):
        print(row.line())
