"""The HTTP API, version 1: one file of routes per noun. What goes over the wire is in `motionloom.studio.schemas`."""
