"""The firewall between what senders say and what is stored: nothing that names a person gets through."""
