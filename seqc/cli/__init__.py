"""The command line: arguments in, calls of `driver` and `run`, exit codes out. No logic of its own."""
