"""What all tests share."""

import os

from hypothesis import settings

# Shared machines stall now and then; a slow example is no failure.
# Whether a commit passes is no matter of what was drawn: in CI the same inputs are tried each time,
# elsewhere new ones.
settings.register_profile("project", deadline=None)
settings.register_profile("ci", settings.get_profile("project"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "project")
