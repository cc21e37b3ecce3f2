"""What a model can do beyond text, as far as its provider tells: each tells it another way.

Nothing is guessed from a model's name. What is not told is not shown, which does not mean that the
model cannot do it.
"""

from typing import Final, cast

from talekeeper.domain.replies import Ability

_ORDER: Final[tuple[Ability, ...]] = ("images", "tools", "json", "reasoning")
_WORDS: Final[dict[str, Ability]] = {
    "image": "images",
    "images": "images",
    "image_input": "images",
    "vision": "images",
    "multimodal": "images",
    "vlm": "images",
    "tools": "tools",
    "tool_use": "tools",
    "function_calling": "tools",
    "structured_outputs": "json",
    "response_format": "json",
    "thinking": "reasoning",
    "reasoning": "reasoning",
    "include_reasoning": "reasoning",
}


def abilities_in(fields: dict[str, object]) -> tuple[Ability, ...]:
    """What the entry of a model says of it: OpenRouter's, Ollama's, LM Studio's, llama.cpp's,
    Mistral's, Anthropic's and Gemini's ways are known.
    """
    said: set[str] = set()
    said |= _words(fields.get("capabilities"))
    said |= _words(fields.get("supported_parameters"))
    architecture = fields.get("architecture")
    if isinstance(architecture, dict):
        said |= _words(cast("dict[str, object]", architecture).get("input_modalities"))
    if fields.get("type") == "vlm":
        said.add("vlm")
    if fields.get("thinking") is True:
        said.add("thinking")
    found = {_WORDS[word] for word in said if word in _WORDS}
    return tuple(ability for ability in _ORDER if ability in found)


def _words(value: object) -> set[str]:
    """The words of a list, or the keys of an object whose values say yes."""
    if isinstance(value, list):
        return {word for word in cast("list[object]", value) if isinstance(word, str)}
    if isinstance(value, dict):
        return {word for word, told in cast("dict[str, object]", value).items() if _is_yes(told)}
    return set()


def _is_yes(told: object) -> bool:
    if isinstance(told, dict):
        return cast("dict[str, object]", told).get("supported") is True
    return told is True
