"""Motion and tracks: what people edit and what methods consume."""
