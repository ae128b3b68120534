"""Every kind of stream there is. Whoever imports it knows every topic, which reading a log takes: a program that has
imported one aggregate alone would call the events of the others unknown."""

from typing import Any, Final

from muniment.domain.backup import BACKUP
from muniment.domain.datastore import DATASTORE
from muniment.domain.event import Aggregate
from muniment.domain.instance import INSTANCE
from muniment.domain.operation import OPERATION
from muniment.domain.quota import PROJECT_QUOTA

__all__ = ["STREAMS"]

STREAMS: Final[tuple[Aggregate[Any], ...]] = (INSTANCE, OPERATION, BACKUP, DATASTORE, PROJECT_QUOTA)
