"""How fast feeds are written to files, and in what memory: `python -m bench destinations`, a million items."""

import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, lines_of
from bench.gate import Gate
from goodsgate.app import open_store
from goodsgate.config import Config
from goodsgate.engine.feed_files import FeedRequest, FeedWriter
from goodsgate.formats.compressed_writer import Compression

ITEMS, ITEMS_SHORT = 1_000_000, 50_000
CHUNK_ITEMS = 50_000
"""Items of one submission."""
SECONDS_MAX = 60.0
"""CPU for a million items."""
MEMORY_MAX_MB = 60.0
"""Growth of the process while a feed is written."""
FILES: tuple[tuple[str | None, str, Compression], ...] = (
    (None, "ndjson", "zstd"), (None, "csv", "none"), ("google", "google_rss", "none"), ("meta", "csv", "gzip"),
    ("openai", "ndjson", "gzip"), ("openai", "parquet", "none"), ("shopify", "csv", "none"),
)


def parts(short: bool) -> Iterator[Figure]:
    """Load items once, and write each kind of file; figures are of a million items."""
    count = ITEMS_SHORT if short else ITEMS
    with Gate() as gate:
        for start in range(0, count, CHUNK_ITEMS):
            gate.load(b"\n".join(lines_of(min(CHUNK_ITEMS, count - start), start=start)))
        store = open_store(Config(store=gate.store))
        for profile, format, compression in FILES:
            request = FeedRequest(profile=profile, format=format, compression=compression, keeps_incomplete=True)
            with tempfile.TemporaryDirectory() as folder:
                writer = FeedWriter(store, "bench", request, Path(folder))
                peak, began, cpu = _peak_mb(), time.perf_counter(), time.process_time()
                result = writer.write()
                cpu, taken = time.process_time() - cpu, time.perf_counter() - began
            assert result.written == count, result
            name = f"{profile or 'own columns'}, {format}{'' if compression == 'none' else f', {compression}'}"
            size = sum(file.bytes for file in result.files)
            detail = f"{size / 1e6:,.0f} MB in {len(result.files)} files; {count / taken:,.0f} items/s by the clock"
            yield Figure(f"{name}: a million items, s of CPU", cpu * 1e6 / count, SECONDS_MAX, False, detail)
            if format != "parquet":  # which loads its library
                yield Figure(f"{name}: growth of memory, MB", _peak_mb() - peak, MEMORY_MAX_MB, False)
        store.close()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
