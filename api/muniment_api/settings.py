"""Settings of the REST API: its section of the settings file."""

from typing import Annotated

import msgspec

__all__ = ["ApiSettings", "PageSizes"]

PageSize = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class PageSizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Items of a list page, when none are asked for and at most. Databases and users come in large pages, because
    Terraform looks for what it created on the first page only."""

    instances: PageSize = 100
    """Of `/instances`."""
    backups: PageSize = 100
    """Of `/backups`, and of the backups of an instance."""
    configurations: PageSize = 100
    """Of `/configurations`, a later release's."""
    operations: PageSize = 100
    """Of `/operations`."""
    events: PageSize = 1000
    """Of `/events`."""
    databases: PageSize = 1000
    """Of the databases of an instance."""
    users: PageSize = 1000
    """Of the users of an instance."""


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the API answers."""

    public_endpoint: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=r"^https?://[^/?#\s]+$",
                description="http:// or https:// with a host and nothing after it, such as https://db.example.com",
            ),
        ]
        | None
    ) = None
    """Such as `https://db.example.org:8779`: replaces the request's scheme and host in links and in the catalogue; behind a
    proxy it is needed."""
    region: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] = "RegionOne"
    """The name of this service's region in the catalogue; a request that names another one is refused."""
    body_bytes_max: Annotated[int, msgspec.Meta(ge=1024, le=16 * 1024 * 1024)] = 256 * 1024
    """The largest body of a request; a larger one is answered 413."""
    page_sizes: PageSizes = PageSizes()
    volume_size_gib_max: Annotated[int, msgspec.Meta(ge=1, le=2**20)] = 16_384
    """The largest volume that may be asked for, in GiB; quotas limit what a project has in all."""
    allow_plain_http: bool = False
    """Serve other machines without TLS: every password and token then crosses the network readable."""
