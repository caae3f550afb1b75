"""The gate before the wall: every form of a network in a bundle says the same, and no fall is lost on the way to int8.

footage      reference clips, their falls, and the long stream
forms        every file of a bundle on a runtime, and the checkpoint itself
runs         all forms over all footage
measures     differences, drift, falls told
gate         the bars, and what keeps or breaks them
picture      the differences to look at
cli          `fallwatch parity`
"""
