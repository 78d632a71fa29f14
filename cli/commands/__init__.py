"""The commands, one module each: options, what is composed, and what is printed."""
