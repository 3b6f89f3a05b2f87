"""What adapting takes: what it starts from, the stream, its answers, and the page at the end."""
