"""From a bare board to a commissioned room."""
