"""One function per verb: the public API. Nothing here imports torch before it is called."""
