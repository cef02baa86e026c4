"""`make demo`: a call of two synthetic participants on our own channel server, recorded by the command line."""
