"""The process that parses an XLSX.

`isolated` starts `process.main` once for each file. So these modules import little, and nothing of ours but each other:
each import is paid for again.

The reader is our own because libraries lose what a feed depends on: number formats of keys, error cells, and formulas
without a stored value. It reads one sheet as a stream, so that memory does not depend on its size.
"""
