"""The contract: events, their wire form, limits and API answers. Needs pydantic and the standard library only."""
