"""The option `--data` of operators' commands: one meaning and one help for all of them."""

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

__all__ = ["OTHERWISE", "Data"]

OTHERWISE: Final = "MUNIMENT_DATA otherwise, or else ~/.local/share/muniment (as root /var/lib/muniment)"
"""Where the data directory is when nobody names one, as `data_directory.default_data` finds it."""

Data = Annotated[Path | None, Parameter(help=f"Data directory; {OTHERWISE}.")]
