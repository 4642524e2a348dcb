"""What others' generators do, in environments of their own; each takes orders as lines of JSON and answers with what they cost."""
