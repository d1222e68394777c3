"""Shared by all tests: how hypothesis runs.

No deadline: two cores are shared by several test processes, so a time limit for one example says nothing. Where CI is
set, hypothesis's own profile of that name runs the same examples each time. `make test` takes the profile `quick`, with
half the examples.
"""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None, print_blob=True)
usual = "ci" if os.environ.get("CI") else "house"
settings.register_profile("quick", settings.get_profile(usual), max_examples=50)
settings.load_profile(usual)
