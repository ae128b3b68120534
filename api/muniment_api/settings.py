"""Settings of the REST API: its section of the settings file."""

from typing import Annotated

import msgspec

__all__ = ["ApiSettings", "PageSizes"]

PageSize = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class PageSizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Items of a list page, when none are asked for and at most. Databases and users come in large pages, because
    Terraform looks for what it created on the first page only."""

    instances: PageSize = 100
    backups: PageSize = 100
    configurations: PageSize = 100
    operations: PageSize = 100
    events: PageSize = 1000
    databases: PageSize = 1000
    users: PageSize = 1000


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the API answers. `public_endpoint` (such as `https://db.example.org:8779`) replaces the request's scheme and
    host in links and in the catalogue; behind a proxy it is needed."""

    public_endpoint: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#\s]+$")] | None = None
    region: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] = "RegionOne"
    body_bytes_max: Annotated[int, msgspec.Meta(ge=1024, le=16 * 1024 * 1024)] = 256 * 1024
    page_sizes: PageSizes = PageSizes()
    volume_size_gib_max: Annotated[int, msgspec.Meta(ge=1, le=2**20)] = 16_384
    """The largest volume that may be asked for, in GiB; quotas limit what a project has in all."""
    allow_plain_http: bool = False
    """Serve other machines without TLS: every password and token then crosses the network readable."""
