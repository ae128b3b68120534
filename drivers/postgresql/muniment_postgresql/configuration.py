"""The server's configuration as text; pure, rendered by the control half.

What depends on the host (addresses, directories, access rules) is not in here: the guest half gives it on the server's
command line, which wins over every file, so that not even a superuser's `postgresql.auto.conf` can open another door.
"""

__all__ = ["MAIN_FILE", "render"]

MAIN_FILE = "postgresql.conf"

_FIXED = """\
# Written by Muniment at each bootstrap; changes made here by hand are lost.
wal_level = replica
max_wal_senders = 10
wal_log_hints = on
recovery_init_sync_method = syncfs
min_wal_size = 80MB
password_encryption = 'scram-sha-256'
allow_alter_system = off
unix_socket_permissions = 0700
dynamic_shared_memory_type = mmap
logging_collector = off
log_destination = 'stderr'
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'Etc/UTC'
timezone = 'Etc/UTC'
datestyle = 'iso, mdy'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.english'
max_connections = 100
superuser_reserved_connections = 5
"""
# Five connections are kept for the superuser: an application that takes all others must not lock the agent out.
# Segments of shared memory lie in the data directory and go with it; those in /dev/shm outlive a killed server.
# After a crash the data's file system is flushed as one: a server with many databases has too many files for one at a time.


def render(*, memory_mib: int) -> str:
    """The text of `postgresql.conf` for a server that may use this much memory."""
    lines = (f"{name} = {value}" for name, value in _memory_settings(memory_mib).items())
    return _FIXED + "\n".join(lines) + "\n"


def _memory_settings(memory_mib: int) -> dict[str, str]:
    """A quarter for shared buffers and half of the rest counted as file cache: PostgreSQL's own advice for a server alone.

    `work_mem` is per sort, of which a hundred connections may each have some. The upper bound of the write-ahead log stays
    small beside the smallest volume (1 GiB), on which the default of 1 GB could fill the disk.
    """
    shared_mib = max(16, memory_mib // 4)
    return {
        "shared_buffers": f"{shared_mib}MB",
        "effective_cache_size": f"{max(32, shared_mib + (memory_mib - shared_mib) // 2)}MB",
        "work_mem": f"{_between(4, (memory_mib - shared_mib) // 200, 64)}MB",
        "maintenance_work_mem": f"{_between(16, memory_mib // 16, 2048)}MB",
        "max_wal_size": f"{_between(256, memory_mib // 4, 4096)}MB",
    }


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))
