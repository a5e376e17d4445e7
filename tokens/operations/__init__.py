"""Every change, one keyword-only function in one transaction: check, move the state, audit, order the work.

They raise only `Denied`, `StaleState` and `Invalid`. None of them speaks to a network or asks a clock.
"""
