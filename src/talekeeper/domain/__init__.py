"""The nouns: immutable values without I/O, and the shape they have on the wire."""
