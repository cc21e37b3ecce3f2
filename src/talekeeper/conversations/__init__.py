"""Conversations: opening them, sending, branching, and following what happens in them."""
