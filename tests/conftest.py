"""Shared by all tests: how hypothesis runs.

No deadline: two cores are shared by several test processes, so a time limit for one example says nothing. Where CI is
set, hypothesis's own profile of that name runs the same examples each time.
"""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "house")
