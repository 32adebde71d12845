"""One batch on several processes: its shards, who takes which, and how they are added up."""
