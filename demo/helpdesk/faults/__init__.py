"""What may go wrong between a request and its answer: on order, or as weather.

`kinds` is the whole registry; `fits` says which requests a kind can befall.
"""
