"""The store: everything that must last, behind one way to write and one way to read.

`await store.write(unit)` returns when what the unit did is on disk; `await store.read(unit)` runs
it on one consistent snapshot. A unit is a plain function of a Writer or a Reader, so nothing
foreign can be awaited inside a transaction. The modules named after nouns hold the statements.
"""

from talekeeper.store.store import Store
from talekeeper.store.units import Reader, ReadUnit, Writer, WriteUnit

__all__ = ["ReadUnit", "Reader", "Store", "WriteUnit", "Writer"]
