"""`make demo`: a call of two synthetic participants on a real channel server, recorded by the command line."""
