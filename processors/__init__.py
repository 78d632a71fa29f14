"""The loops: workers that store what the stream brings, maintenance that keeps house."""
