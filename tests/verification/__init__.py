"""Cases with a known answer, run by the tests and drawn by `docs/physics/verify.py`. One module per kind of case.

Every module has CASES: by name, a function without arguments that returns what was measured beside what is known.
"""
