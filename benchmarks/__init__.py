"""Speed and memory, measured side by side with the libraries that people use today: `python -m benchmarks`."""
