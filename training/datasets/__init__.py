"""The public fall datasets as their owners ship them -> tables in the form of data/clips.csv. Layouts: docs/data.md."""
