"""Talekeeper: the game master's AI chat that never loses a word."""

__version__ = "0.1.0"
