"""Text to Tree and back: the grammar, the parser with its messages, and the formatter. Knows no name's meaning."""
