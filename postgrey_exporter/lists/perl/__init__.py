"""What the Perl patterns of a whitelist mean, told by a translation that never guesses.

`grammar` reads Perl's text into a `tree`, `python` writes the tree for Python, `tails` finds what makes look-ups
quick, and `meaning` is what comes of it. `clientpattern` is the whole: a pattern that can be asked about client
names, and is read when it must be; of a `usual` one it is known before what names must end in.
"""
