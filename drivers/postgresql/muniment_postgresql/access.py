"""Who may connect: PostgreSQL's access file and its map of operating system users."""

import os
import pwd

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host
from muniment_postgresql.files import write_config
from muniment_postgresql.names import ADMINISTRATOR

__all__ = ["HBA_FILE", "IDENT_FILE", "write_access_rules"]

HBA_FILE = "pg_hba.conf"
IDENT_FILE = "pg_ident.conf"

# Nobody but the agent comes over the socket, and it only as the bootstrap superuser; clients come over TCP with a password;
# the bootstrap superuser, which has none, is refused there before anything is asked.
_HBA = f"""\
# Written by Muniment at each start.
local all         "{ADMINISTRATOR}" peer map=agent
local replication "{ADMINISTRATOR}" peer map=agent
host  all         "{ADMINISTRATOR}" all reject
host  all         all all scram-sha-256
"""


def write_access_rules(host: Host) -> None:
    """Write both files for the agent's present user; the engine reads them when it starts."""
    write_config(host, HBA_FILE, _HBA.encode())
    write_config(host, IDENT_FILE, f'agent "{_agent_user()}" "{ADMINISTRATOR}"\n'.encode())


def _agent_user() -> str:
    """The name under which the engine sees the agent at the socket."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        raise OpFailed(
            Code.PRECONDITION_FAILED,
            f"the agent's uid {uid} has no name in the passwd file, so PostgreSQL cannot recognise it",
        ) from None
    return name.replace('"', '""')
