"""Live events on their way to subscribers: one reader of the timeline, one ring in memory, many cursors into it."""
