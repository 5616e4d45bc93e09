"""Text, places in it, and messages about it: what every later room needs to speak to the author of a program."""
