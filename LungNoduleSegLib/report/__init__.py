"""What a run leaves behind for people: the overview picture, the run record, results saved and read back.

Imports neither torch nor MRML; VTK and slicer-core are used in processes of their own.
"""
