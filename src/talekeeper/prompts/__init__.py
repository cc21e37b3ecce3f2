"""What the AI is told: pure functions from facts to a request and its receipt."""

from talekeeper.prompts.composing import Composed, composed
from talekeeper.prompts.dividing import divided

__all__ = ["Composed", "composed", "divided"]
