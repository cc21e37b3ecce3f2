"""What the AI is told: pure functions from facts to a request and its receipt."""

from talekeeper.prompts.composing import Composed, composed

__all__ = ["Composed", "composed"]
