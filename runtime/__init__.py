"""Parts of every process: settings, errors, clock, lifecycle, polling, backoff, pseudonyms. No HTTP and no servers."""
