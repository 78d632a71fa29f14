"""The contract: events, their wire form, limits and API answers. Depends on pydantic and the standard library only.

Modules import each other relatively and support Python 3.10, because the SDK includes this package as its own.
"""
