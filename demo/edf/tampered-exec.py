"""The analysis as an attacker would send it: it does its work, and then starts other programs to copy the recording.

First as a child process; if that is refused, by becoming the other program.
"""

import os
import sys

import normalise

PROGRAM = "/usr/bin/cp"
COPY = "/out/stolen.edf"


def attempt(what, start):
    """Says on stderr how one way of starting the program ended."""
    try:
        start()
        print(f"attack: {what} worked")
        return True
    except OSError as error:
        print(f"attack: {what} was refused: {type(error).__name__}: {error}", file=sys.stderr)
        return False


def child():
    arguments = [PROGRAM, normalise.SOURCE, COPY]
    _, status = os.waitpid(os.posix_spawn(PROGRAM, arguments, {}), 0)
    if status != 0:
        raise OSError(f"{PROGRAM} failed with status {status}")


normalise.main()
sys.stdout.flush()
if not attempt("starting another program", child):
    attempt("becoming another program", lambda: os.execv(PROGRAM, [PROGRAM, normalise.SOURCE, COPY]))
    sys.exit(1)
