"""The command line: reads settings once, composes the processes, and is the only user of typer."""
