"""Paths for a person: those below the current folder are shown as seen from there."""

import os
import re
from pathlib import Path


def near(text: object) -> str:
    """`text` with each path in it shortened. What machines read keeps whole paths."""
    try:
        here = str(Path.cwd()).rstrip(os.sep)
    except FileNotFoundError:  # somebody removed the folder that this process stands in
        return str(text)
    # A path begins where no other one goes on.
    return re.sub(rf"(?<![\w./-]){re.escape(here + os.sep)}", "", str(text)) if here else str(text)
