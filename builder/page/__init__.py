"""The pages that open anywhere: one HTML file each, with models in it, and no server."""

from .document import Section, asset, document
from .explorer import explorer_page, explorer_section

__all__ = ["Section", "asset", "document", "explorer_page", "explorer_section"]
