"""Rules about texts of senders: Unicode, placeholders in place of ids, safe display. Pure."""
