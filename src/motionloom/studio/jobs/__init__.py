"""Videos to be made: the queue, the processes that work on it, what they report, and what they made.

`database` and `store` hold the queue (SQLite), `events` tells who listens, `worker` runs in a process of its own for
every device, `supervisor` keeps those processes alive, `results` and `derived` look after finished videos.
"""
