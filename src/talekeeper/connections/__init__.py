"""How accounts reach models: their named connections, and how well each answers."""
