"""What encoded frames say of themselves, one file per codec: key frame, size, parameter sets, silence.

`registry` finds the functions of a codec; nothing here keeps state but the completers it makes.
"""
