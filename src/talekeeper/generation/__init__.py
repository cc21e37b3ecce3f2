"""Generation: one attempt to get a reply. It belongs to the server and outlives every page."""
