"""Rows of a Parquet file, in batches small enough for bounded memory. pyarrow is imported only when there is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from intramural.errors import InvalidInput
from intramural.intake.bounds import Progress, check_growth

BATCH_ROWS = 256


def parquet_rows(file: BinaryIO, name: str, size: int, on_progress: Progress) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row of a seekable *file* with its 1-based number; raise `InvalidInput` for a damaged one."""
    import pyarrow as pa  # noqa: PLC0415  costs 0.2 s, and few files are Parquet
    import pyarrow.parquet as pq  # noqa: PLC0415

    size = size or file.seek(0, 2)
    number = 0
    try:
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as parquet:
            groups = (parquet.metadata.row_group(n).total_byte_size for n in range(parquet.metadata.num_row_groups))
            check_growth(name, size, sum(groups))
            rows = max(1, parquet.metadata.num_rows)
            for batch in parquet.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
                for fields in batch.to_pylist():
                    number += 1
                    yield number, fields
                on_progress(size * number // rows, size)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{name} is not a whole Parquet file.", hint="Copy or write it again.") from error
