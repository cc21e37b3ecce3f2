"""Who may see what: accounts, the tokens that stand for them, and the sealing of their keys."""
