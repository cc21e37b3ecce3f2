"""Presets: servers that people often connect to, each with its address and its quirks.

All of them speak OpenAI's language. What a server does otherwise is found out by asking it: a field
that it refuses is left out from then on, and thinking is read under every name that is known. So a
quirk stands here only where its discovery would cost every connection a refused request.

Addresses and quirks as their makers' documentation has them:
- OpenRouter: https://openrouter.ai/docs/quickstart
- DeepSeek: https://api-docs.deepseek.com (the address works with and without /v1)
- Mistral: https://docs.mistral.ai/api; it answers 422 to `stream_options.include_usage` and counts
  without being asked (https://github.com/openai/openai-agents-python/issues/442)
- xAI: https://docs.x.ai/developers/introduction
- Groq: https://console.groq.com/docs/openai
- LM Studio: https://lmstudio.ai/docs/developer/openai-compat
- llama.cpp: https://github.com/ggml-org/llama.cpp/tree/master/tools/server
- vLLM: https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html
- KoboldCpp: https://github.com/LostRuins/koboldcpp/wiki
"""

from dataclasses import dataclass
from typing import Final

from talekeeper.domain.connections import Kind


@dataclass(frozen=True, slots=True)
class Preset:
    """A server to connect to. `leaves_out` are the fields of a request that it is known to refuse.

    `is_remote` says that words leave this machine; one that is not listens at its usual port here.
    """

    name: str
    title: str
    base_url: str
    needs_key: bool = False
    is_remote: bool = False
    kind: Kind = "openai"
    leaves_out: frozenset[str] = frozenset()


PRESETS: Final = (
    Preset("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", True, True),
    Preset("deepseek", "DeepSeek", "https://api.deepseek.com/v1", True, True),
    Preset(
        "mistral",
        "Mistral",
        "https://api.mistral.ai/v1",
        needs_key=True,
        is_remote=True,
        leaves_out=frozenset({"stream_options"}),
    ),
    Preset("xai", "xAI", "https://api.x.ai/v1", True, True),
    Preset("groq", "Groq", "https://api.groq.com/openai/v1", True, True),
    Preset("lm_studio", "LM Studio", "http://127.0.0.1:1234/v1"),
    Preset("llama_cpp", "llama.cpp", "http://127.0.0.1:8080/v1"),
    Preset("vllm", "vLLM", "http://127.0.0.1:8000/v1"),
    Preset("koboldcpp", "KoboldCpp", "http://127.0.0.1:5001/v1"),
)


def preset_named(name: str | None) -> Preset | None:
    return next((preset for preset in PRESETS if preset.name == name), None)
