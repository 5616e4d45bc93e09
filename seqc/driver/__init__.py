"""Driver: files in, files out. Runs the rooms in order, calls the C++ compiler, keeps the cache, loads what was built.

Only this room and `cli` touch the disk, processes and the environment.
"""
