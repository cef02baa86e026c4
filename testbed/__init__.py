"""Real servers, official clients and players to try the recorder on, and the measures of what it recorded.

Shared by the interop tests and the demo. A synthetic participant paints a frame counter into its picture and
beeps at each flash of it, so that what a file holds can be compared with what was sent.
"""
