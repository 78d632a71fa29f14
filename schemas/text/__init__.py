"""Rules about texts that others wrote: Unicode, ids that stand for nobody, safe display. Pure."""
