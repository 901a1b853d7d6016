"""Settings that all tests share."""

from hypothesis import settings

settings.register_profile("lossgen", deadline=None, derandomize=True, database=None)
settings.load_profile("lossgen")
