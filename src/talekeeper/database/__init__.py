"""The database: one way to write and one way to read, whatever is kept there.

`await store.write(unit)` returns when what the unit did is on disk; `await store.read(unit)` runs
it on one consistent snapshot. A unit is a plain function of a Writer or a Reader, so nothing
foreign can be awaited inside a transaction. What is kept, and its statements, is in `store/`.
"""

from talekeeper.database.store import Store
from talekeeper.database.units import Reader, ReadUnit, Writer, WriteUnit

__all__ = ["ReadUnit", "Reader", "Store", "WriteUnit", "Writer"]
