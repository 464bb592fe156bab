"""From log lines to decisions: headers, postgrey's own words, and the hashes of senders and recipients."""
