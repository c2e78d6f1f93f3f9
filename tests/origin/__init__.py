"""A COS server on loopback, for tests: ``from tests.origin.server import Origin``."""
