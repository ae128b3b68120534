"""What the read models show, for operators: every project's resources, decoded."""

from collections.abc import Iterator
from typing import Any

import msgspec

from muniment_projections.collection import Collection
from muniment_projections.documents import Site
from muniment_projections.row import View

__all__ = ["everything"]

_HERE = Site("", "")
"""Links are of no use to an operator's command."""


def everything(collection: Collection, **facets: str) -> Iterator[dict[str, Any]]:
    """All resources of a collection as administrators see them, newest first."""
    marker: str | None = None
    while True:
        page = collection.page(project_id=None, view=View.ADMIN_DETAIL, marker=marker, facets=facets)
        for document in page.documents:
            yield msgspec.json.decode(_HERE.fill(document), type=dict[str, Any])
        marker = page.next_marker
        if marker is None:
            return
