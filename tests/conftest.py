"""What all tests share."""

from hypothesis import settings

# Shared machines stall now and then; a slow example is no failure.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
