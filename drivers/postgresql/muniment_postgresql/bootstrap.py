"""From a prepared volume to an engine that answers SQL."""

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host, Job, Programs
from muniment.contract.messages import Health
from muniment.contract.ops import Bootstrap
from muniment_postgresql import ownership, programs, server
from muniment_postgresql.data_directory import Content, DataDirectory
from muniment_postgresql.files import write_config
from muniment_postgresql.session import session
from muniment_postgresql.template import template

__all__ = ["bring_up"]

_START_LIMIT_S = 840  # below the job's 900 s; a restored server may have a lot of log to replay


def bring_up(host: Host, wanted: Bootstrap, job: Job) -> Health:
    """Configure, fill the data directory where it is empty, start, close what is not the tenant's."""
    found = programs.find(host)
    job.progress("configure")
    for name, text in wanted.base_config.items():
        write_config(host, name, text.encode())
    _fill(host, found, job)
    job.progress("start")
    health = server.start(
        host,
        found,
        limit_s=_START_LIMIT_S,
        waiting=lambda seconds: job.progress("start", done=int(seconds), unit="s"),
    )
    with session(host) as connection:
        ownership.close_system_databases(connection)
    return health


def _fill(host: Host, found: Programs, job: Job) -> None:
    data = DataDirectory(host)
    content = data.content()
    if content is Content.CLUSTER:
        return
    if content in (Content.FOREIGN, Content.UNFINISHED_RESTORE):
        raise OpFailed(Code.PRECONDITION_FAILED, f"the data directory holds {content}")
    job.progress("initialise")
    if content is Content.UNFINISHED_COPY:
        data.wipe()
    data.copy_from(template(host, found))
    data.hand_over()
    data.finish(found)
