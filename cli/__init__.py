"""The command line. It loads the settings, composes the processes, and is the only package that imports typer."""
