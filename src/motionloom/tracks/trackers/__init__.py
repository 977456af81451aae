"""Point trackers: from a video to `Tracks`, behind one interface.

`track` is what most callers need. The default tracker needs nothing but this package; the learned ones (`load_tracker`)
need their authors' code and a checkpoint on this disk, and have their own licences (`list_trackers`).
"""

from motionloom.tracks.trackers.catalog import TrackerCard, list_trackers, load_tracker
from motionloom.tracks.trackers.floor import FLOOR, Floor, floor_of
from motionloom.tracks.trackers.tracker import Tracker, grid, track

__all__ = ["FLOOR", "Floor", "Tracker", "TrackerCard", "floor_of", "grid", "list_trackers", "load_tracker", "track"]
