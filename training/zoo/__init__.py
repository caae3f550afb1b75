"""Other kinds of network, at the size of the unit's, under the same protocol: there to be compared with.

None of them goes on a wall; the table of families is training.networks.FAMILIES.
"""
