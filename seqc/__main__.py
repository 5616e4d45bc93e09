"""`python -m seqc`: the command line."""

from seqc.cli.main import main

main()
