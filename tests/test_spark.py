"""The same archive on Spark: a cluster of processes on this machine, one of which is killed in the middle."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from adapter.cli import main
from mappings import MappingError
from tests.archive import cases, spoilt, write

pytestmark = [pytest.mark.xdist_group("spark"), pytest.mark.filterwarnings("ignore")]
MASTER = "local-cluster[2,1,1024]"


def missing() -> str | None:
    """Why Spark cannot run here."""
    if importlib.util.find_spec("pyspark") is None or importlib.util.find_spec("pyarrow") is None:
        return "the extra [spark] is not installed (660 MB: pip install -e '.[spark]')"
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        return "there is no Java"
    return None


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session on a cluster of two executors, which are processes of their own; in CI it must start."""
    reason = missing()
    if reason is not None and os.environ.get("CI") != "true":
        pytest.skip(f"Spark cannot run: {reason}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("SPARK_WORKER_DIR", str(tmp_path_factory.mktemp("workers")))
        patch.setenv("PYSPARK_SUBMIT_ARGS", "--conf spark.ui.enabled=false pyspark-shell")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
        from adapter.spark import session

        running = session(MASTER)
        running.sparkContext.setLogLevel("OFF")
        yield running
        running.stop()
        running.sparkContext._gateway.shutdown()


def processes() -> list[tuple[int, int, str]]:
    """Every process: id, parent, command line."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in listed.splitlines())
    return [(int(pid), int(parent), command) for pid, parent, command in rows]


def executors(spark: Any) -> list[int]:
    """The process ids of the executors, which the driver's Java started."""
    driver = spark.sparkContext._gateway.proc.pid
    return [pid for pid, parent, command in processes() if parent == driver and command.split()[0].endswith("java")]


def kill_in_the_middle(spark: Any, running: Future[Any]) -> int:
    """Kill an executor while Python works for it; gives its process id."""
    while not running.done():
        there, homes = processes(), executors(spark)
        daemons = {pid: parent for pid, parent, _ in there if parent in homes}
        busy = [daemons[parent] for _, parent, _ in there if parent in daemons]
        if busy:
            os.kill(busy[0], signal.SIGKILL)
            return busy[0]
        time.sleep(0.05)
    raise AssertionError("the run was over before an executor was killed")


def content(folder: Path) -> bytes:
    """The part files of a result, by name."""
    return b"".join(part.read_bytes() for part in sorted(folder.glob("part-*")))


def test_an_archive_on_a_cluster_that_loses_an_executor(spark: Any, tmp_path: Path) -> None:
    """The same bytes and the same refused lines as on one machine, in several files, in the order of the input."""
    lines = [*cases(150), *cases(8, "synthetic-course"), *cases(150)]
    broken = spoilt(lines, 12)
    first, second = write(tmp_path / "b.ndjson", lines[:200]), write(tmp_path / "a.ndjson", lines[200:])
    arguments = ["bulk", "to-fhir", str(first), str(second)]
    local = CliRunner().invoke(main, [*arguments, "--errors", str(tmp_path / "e"), "--jobs", "1"])
    results = ["-o", str(tmp_path / "out"), "--errors", str(tmp_path / "errors")]
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(CliRunner().invoke, main, [*arguments, *results, "--engine", "spark", "--master", MASTER])
        killed = kill_in_the_middle(spark, run)
        assert not (tmp_path / "out" / "_SUCCESS").exists()
        done = run.result()
    assert killed not in executors(spark)
    assert done.exit_code == 1
    assert f"308 documents: {308 - 12} written, 12 refused" in done.stderr
    assert done.stderr.splitlines()[1].partition("(")[0] == local.stderr.splitlines()[1].partition("(")[0]
    assert content(tmp_path / "out") == local.stdout_bytes
    assert len(list((tmp_path / "out").glob("part-*"))) > 1
    here = [json.loads(line) for line in (tmp_path / "e").read_bytes().splitlines()]
    there = [json.loads(line) for line in content(tmp_path / "errors").splitlines()]
    assert [one["line"] for one in there] == [n if n <= 200 else n - 200 for n in sorted(broken)]
    for one, other in zip(here, there, strict=True):
        assert other["file"] == Path(one["file"]).as_uri().replace("///", "/")
        assert (other["line"], other["outcome"]) == (one["line"], one["outcome"])


def test_a_dataframe_of_your_own(spark: Any, tmp_path: Path) -> None:
    """`convert` takes strings or bytes, keeps the other columns, and says of each row what was wrong."""
    from adapter.spark import convert

    good, bad = next(cases(1)), b'{"case_id":"\xff"}'
    df = spark.createDataFrame([(1, bytearray(good)), (2, bytearray(bad)), (3, None)], "id int, document binary")
    df.write.parquet(str(tmp_path / "in.parquet"))
    rows = (
        convert(spark.read.parquet(str(tmp_path / "in.parquet")), "to-fhir", column="document").orderBy("id").collect()
    )
    alone = CliRunner().invoke(main, ["bulk", "to-fhir", str(write(tmp_path / "in", [good])), "--jobs", "1"])
    assert [(row.id, row.codes) for row in rows] == [(1, []), (2, ["not-utf8"])]
    assert (rows[0].result.encode() + b"\n", rows[0].outcome) == (alone.stdout_bytes, None)
    assert (rows[1].result, json.loads(rows[1].outcome)["resourceType"]) == (None, "OperationOutcome")


def test_paths_that_spark_cannot_use_are_refusals(spark: Any, tmp_path: Path) -> None:
    """An input that is not there, a result that is: one line with the reason, status 1."""
    from adapter.line import Task
    from adapter.spark import run

    path = write(tmp_path / "in", [next(cases(1))])
    with pytest.raises(MappingError, match="PATH_NOT_FOUND"):
        run(Task("to-fhir"), [str(tmp_path / "nothing")], (str(tmp_path / "out"), None, None), MASTER)
    with pytest.raises(MappingError, match="PATH_ALREADY_EXISTS"):
        run(Task("to-fhir"), [str(path)], (str(tmp_path), None, None), MASTER)


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    """Status 2, and no traceback."""
    code = (
        "import sys; sys.modules['pyspark'] = None; from adapter.cli import main; "
        f"main(['bulk', 'to-fhir', '{tmp_path}', '-o', '{tmp_path}/out', '--engine', 'spark'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "[spark]" in done.stderr, "Traceback" in done.stderr) == (2, True, False)
