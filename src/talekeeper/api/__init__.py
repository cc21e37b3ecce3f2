"""The HTTP edge: translates between the wire and the use cases, and decides nothing."""
