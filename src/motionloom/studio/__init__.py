"""The studio: an editor in the browser, the server behind it, its job queue, and a client for Python."""
