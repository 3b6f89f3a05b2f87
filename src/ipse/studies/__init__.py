"""Theory papers as experiments that end in numbers and a figure."""
