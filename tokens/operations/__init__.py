"""Every change, one function in one transaction: check, move the state, audit, order the work.

They refuse with `Denied`, `StaleState` and `Invalid`, and where a secret is opened raise `Unsealable`. None of
them speaks to a network or asks a clock.
"""
