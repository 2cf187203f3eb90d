"""Archives on a Spark cluster: `adapter.line.convert` in ``mapInArrow``, the same bytes as on one machine.

On a DataFrame of your own::

    from adapter.spark import convert
    done = convert(spark.read.parquet("s3a://cases"), "to-fhir", column="value", bundle_type="transaction")

and `run` for ``fhir-adapter bulk --engine spark``. See examples/spark/README.md for a real cluster.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from adapter.bulk import LINES, State
from adapter.line import Operation, Task
from adapter.line import convert as convert_line
from mappings import Issue, MappingError, encode
from mappings.report import Json

#: what `convert` adds: the result (null: refused), what is to be said as OperationOutcome (null: nothing), its codes
RESULT, OUTCOME, CODES = "result", "outcome", "codes"
_ADDED = [StructField(RESULT, StringType()), StructField(OUTCOME, StringType())]
_ORDER = ["input", "file", "block", "row"]


def convert(
    df: DataFrame, operation: Operation, column: str = "value", verify: Any = "all", **options: Json
) -> DataFrame:
    """The DataFrame with ``result``, ``outcome`` and ``codes`` in place of ``column`` (string or binary).

    A refused row has no result; its outcome says why. ``options`` are those of `to_fhir` or `from_fhir`.
    Rows keep their partition and order. Null and blank values give no row.
    """
    task = Task(operation, verify, options)
    kept = [name for name in df.columns if name != column]
    fields = [df.schema[name] for name in kept]
    schema = StructType([*fields, *_ADDED, StructField(CODES, ArrayType(StringType()))])

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, LINES):  # results are larger than what they are made of
                yield _converted(batch.slice(start, LINES), column, kept, task)

    raw = F.col(column).cast("binary").alias(column)  # bytes that are not UTF-8 stay as they are
    return df.select(*kept, raw).mapInArrow(rows, schema)


def _converted(batch: pa.RecordBatch, column: str, kept: Sequence[str], task: Task) -> pa.RecordBatch:
    lines = {place: raw for place, raw in enumerate(batch.column(column).to_pylist()) if raw and raw.strip()}
    batch = batch.take(pa.array(lines, pa.int64()))
    done = [convert_line(raw.rstrip(b"\r\n"), task) for raw in lines.values()]
    added = [
        pa.array([one.result and one.result.decode() for one in done], pa.string()),
        pa.array([encode(one.outcome()).decode() if one.loud() else None for one in done], pa.string()),
        pa.array([one.codes() for one in done], pa.list_(pa.string())),
    ]
    return pa.RecordBatch.from_arrays(
        [*(batch.column(name) for name in kept), *added], names=[*kept, RESULT, OUTCOME, CODES]
    )


# --- fhir-adapter bulk --engine spark -----------------------------------------------------------


def run(task: Task, inputs: Sequence[str], paths: Sequence[str | None], master: str | None) -> State:
    """Do the task to every line of the inputs; results are folders of part files, in the order of the input by name.

    ``paths`` as in `adapter.bulk.run`; without a path for the refused lines they are only counted.
    """
    try:
        return _run(session(master), task, inputs, paths)
    except AnalysisException as error:
        condition = error.getCondition() or "it does not say why"
        code = "not-writable" if "EXISTS" in condition else "not-readable"
        raise MappingError(Issue(code, f"Spark cannot use a path: {condition}.")) from None


def _run(spark: SparkSession, task: Task, inputs: Sequence[str], paths: Sequence[str | None]) -> State:
    out, errors, report = paths
    source = _read(spark, inputs)
    cores = spark.sparkContext.defaultParallelism
    ordered = source.repartitionByRange(4 * cores, *_ORDER).sortWithinPartitions(*_ORDER)
    rows = convert(ordered, task.operation, "value", task.verify, **task.options).persist(StorageLevel.DISK_ONLY)
    good, bad = rows.where(F.col(RESULT).isNotNull()), rows.where(F.col(RESULT).isNull())
    try:
        _write(good.select(RESULT), out)
        blocks = _blocks(source)
        _write(_records(bad, blocks), errors)
        _write(_records(good.where(F.col(OUTCOME).isNotNull()), blocks), report)
        return _counted(rows)
    finally:
        rows.unpersist()


def session(master: str | None) -> SparkSession:
    """The session that there is, else one of ``master``, or of spark-submit; small Arrow batches, as rows are large."""
    if (master or "").startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("fhir-adapter bulk")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", str(LINES))
    return (builder.master(master) if master else builder).getOrCreate()


def _read(spark: SparkSession, inputs: Sequence[str]) -> DataFrame:
    """Every line (or row of ``value``, from ``*.parquet``) with its place: input, file, block of the file, row."""

    def one(number: int, path: str) -> DataFrame:
        reader = spark.read.option("recursiveFileLookup", "true")
        parquet = path.rstrip("/").endswith(".parquet")
        df = reader.parquet(path) if parquet else reader.option("lineSep", "\n").text(path)
        return df.select(
            F.lit(number).alias("input"),
            F.col("_metadata.file_path").alias("file"),
            F.col("_metadata.file_block_start").alias("block"),
            F.monotonically_increasing_id().alias("row"),
            F.col("value"),
        )

    return reduce(DataFrame.union, (one(number, path) for number, path in enumerate(inputs)))


def _blocks(source: DataFrame) -> DataFrame:
    """Of each block of a file: its first row, and the lines of the file before it."""
    counted = source.groupBy("input", "file", "block").agg(F.min("row").alias("first"), F.count("*").alias("lines"))
    earlier = Window.partitionBy("input", "file").orderBy("block").rowsBetween(Window.unboundedPreceding, -1)
    before = F.coalesce(F.sum("lines").over(earlier), F.lit(0))
    return counted.withColumn("before", before).drop("lines")


def _records(rows: DataFrame, blocks: DataFrame) -> DataFrame:
    """The outcomes as lines of JSON with file and line."""
    line = (F.col("before") + F.col("row") - F.col("first") + 1).alias("line")
    place = F.to_json(F.struct("file", line))
    record = F.concat(F.regexp_replace(place, "}$", ""), F.lit(',"outcome":'), F.col(OUTCOME), F.lit("}"))
    return rows.join(F.broadcast(blocks), ["input", "file", "block"]).select(record)


def _write(lines: DataFrame, path: str | None) -> None:
    if path:
        compression = "gzip" if path.endswith(".gz") else "none"
        lines.write.option("lineSep", "\n").text(path, compression=compression)


def _counted(rows: DataFrame) -> State:
    """How many rows were written and refused, and of both the rows by code."""
    said = rows.select(F.col(RESULT).isNull().alias("refused"), F.posexplode_outer(CODES).alias("nth", "code"))
    first = F.sum((F.coalesce("nth", F.lit(0)) == 0).cast("int")).alias("rows")
    counts: dict[bool, list[Any]] = {False: [], True: []}
    for row in said.groupBy("refused", "code").agg(F.count("*").alias("n"), first).collect():
        counts[row["refused"]].append(row)
    codes = {kind: {row["code"]: row["n"] for row in found if row["code"]} for kind, found in counts.items()}
    written, refused = (sum(row["rows"] for row in counts[kind]) for kind in (False, True))
    return State(written=written, refused=refused, codes=codes[True], told=codes[False], done=True)
