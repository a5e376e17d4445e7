"""Read models: what a page needs, in a bounded number of queries. Nothing here changes a row."""
