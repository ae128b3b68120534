"""The stored form of a backup, version 1: self-describing, so that whoever has the data key can restore it without our store.

A backup is a byte stream of the engine's own tool (for PostgreSQL a tar), compressed with zstandard, cut into numbered
frames, each sealed on its own with AES-256-GCM under the backup's data key, the last one marked; frames lie one after the
other in segments (objects of bounded size). A manifest beside them names everything.
"""

from hashlib import sha256
from uuid import UUID

import msgspec

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "BackupManifest",
    "Segment",
    "StoreRef",
    "decode_manifest",
    "encode_manifest",
    "manifest_digest",
]

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
"""Name of the manifest's object, beside the segments."""


class StoreRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where the objects of one backup lie, and how long the guest may write there."""

    kind: str
    """`file`: a directory that agent and control plane see alike. `swift`: a later issue."""
    location: str
    """For `file` the directory of this one backup."""
    mark: str = ""
    """For `file` the name of a file that must lie beside that directory, or its disk is not the one that is meant."""
    until_s: float
    """The grant's end, seconds since 1970; no object is written after it."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One object: its name under the backup's prefix, its size, its SHA-256 as stored, and which frames it holds."""

    name: str
    size_bytes: int
    sha256: str
    first_frame: int
    frames: int


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that a restore needs beside the data key. Written last; a backup without one is not a backup."""

    format_version: int = FORMAT_VERSION
    backup_id: UUID
    parent_id: UUID | None = None
    instance_id: UUID
    datastore: str
    server_version: str
    method: str
    tool: str
    codec: str = "zstd"
    cipher: str = "AES-256-GCM"
    key_id: str
    wrapped_key: bytes
    segments: tuple[Segment, ...]
    frames: int
    plain_bytes: int
    plain_sha256: str
    stored_bytes: int
    start_position: str = ""
    end_position: str = ""
    facts: dict[str, str] = {}
    """What a target must match, e.g. PostgreSQL's locale provider."""
    started_at: float = 0.0
    finished_at: float = 0.0


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(BackupManifest)


def encode_manifest(manifest: BackupManifest) -> bytes:
    """The bytes of the manifest's object: the same for equal manifests, also after a way through `decode_manifest`."""
    return _encoder.encode(manifest)


def decode_manifest(data: bytes) -> BackupManifest:
    """The inverse of `encode_manifest`; raises msgspec.DecodeError or ValidationError."""
    return _decoder.decode(data)


def manifest_digest(manifest: BackupManifest) -> str:
    """SHA-256 of the manifest's object, as control records it when a backup is complete (`RestoreBackup.manifest_sha256`)."""
    return sha256(encode_manifest(manifest)).hexdigest()
