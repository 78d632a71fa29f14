"""Sends events to ingest: reads input files, delivers batches, keeps a journal of progress and rejected events."""
