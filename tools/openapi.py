"""Write openapi.json, the wire contract, from the routes themselves."""

import json
from pathlib import Path
from typing import Any

from talekeeper.api.app import create_app
from talekeeper.settings import load_settings

CONTRACT = Path(__file__).resolve().parents[1] / "openapi.json"


def described() -> dict[str, Any]:
    """The contract as it should be."""
    return create_app(load_settings()).openapi()


if __name__ == "__main__":
    text = json.dumps(described(), indent=2, ensure_ascii=False)
    CONTRACT.write_text(f"{text}\n", encoding="utf-8")
