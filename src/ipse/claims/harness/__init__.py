"""What runs claims: their shape, the seeds, the statistics, the record and the page of results."""
