"""What restoring takes: the files, what is done to each, and the page at the end."""
