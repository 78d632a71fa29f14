"""Redis Streams: append, read, acknowledge, measure, trim. The only package that imports redis."""
