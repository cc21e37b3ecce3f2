"""The schema's history: migrations go forward only and import nothing that lives on."""

from typing import Final

HEAD: Final = "0011"
"""The revision that this version of the code reads and writes."""
