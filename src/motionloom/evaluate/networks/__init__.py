"""Networks that metrics look through, in torch or transformers, from local files only."""
