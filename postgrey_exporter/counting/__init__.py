"""What every line of a log goes through, compiled: usual lines read, decisions added up, messages followed.

Written in Cython; each module has its face for Python in a stub beside it. What is done once for a domain, a list or
a file is done elsewhere, in Python.
"""
