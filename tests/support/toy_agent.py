"""`muniment_guest.main` with the toy driver installed beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "toy_driver"))

from muniment_guest.main import main

if __name__ == "__main__":
    sys.exit(main())
