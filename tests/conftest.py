from hypothesis import settings

# The first call of a property may import a library; how long it takes says nothing about what it computes.
settings.register_profile("motionloom", deadline=None)
settings.load_profile("motionloom")
