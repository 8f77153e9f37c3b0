"""Rows of a Parquet file, in batches small enough for bounded memory. pyarrow is imported only when there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from intramural.errors import InvalidInput
from intramural.intake.bounds import Progress, check_growth

BATCH_ROWS = 256


def parquet_rows(source: Path, on_progress: Progress) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row with its 1-based number; raise `InvalidInput` for a damaged file."""
    import pyarrow as pa  # noqa: PLC0415  costs 0.2 s, and few files are Parquet
    import pyarrow.parquet as pq  # noqa: PLC0415

    size = source.stat().st_size
    number = 0
    try:
        with pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20) as file:
            groups = (file.metadata.row_group(n).total_byte_size for n in range(file.metadata.num_row_groups))
            check_growth(source.name, size, sum(groups))
            rows = max(1, file.metadata.num_rows)
            for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
                for fields in batch.to_pylist():
                    number += 1
                    yield number, fields
                on_progress(size * number // rows, size)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{source.name} is not a whole Parquet file.", hint="Copy or write it again.") from error
