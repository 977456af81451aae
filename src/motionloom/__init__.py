"""motionloom: draw how things should move on a still image; get a video that moves that way."""
