"""The contract: events, their wire form, limits and API answers. Needs pydantic and the standard library only.

Its modules import each other relatively and run on Python 3.10 too: the SDK carries this package as its own.
"""
