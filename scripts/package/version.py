"""The version and the address of the project, from Cargo.toml: nothing else states them."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
_MANIFEST = (ROOT / "Cargo.toml").read_text()


def _field(name):
    return re.search(rf'^{name} = "(.*)"$', _MANIFEST, re.MULTILINE)[1]


VERSION = _field("version")
REPOSITORY = _field("repository")
DESCRIPTION = _field("description")
