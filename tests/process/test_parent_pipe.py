"""A program started by exec learns of its starter's end, however that came and whatever else the starter forked."""

import os
import subprocess
import sys

import psutil

from app.process.parent_pipe import ParentPipe, at_eof, wait_for_eof
from tests.processes import Deaths

TIMEOUT_S = 20

PROGRAM = "import sys; from app.process.parent_pipe import wait_for_eof; wait_for_eof(int(sys.argv[1]))"

STARTER = f"""
import os, signal, subprocess, sys
from app.process.parent_pipe import ParentPipe
pipe = ParentPipe()
program = subprocess.Popen([sys.executable, "-c", {PROGRAM!r}, str(pipe.read_fd)], pass_fds=[pipe.read_fd])
pipe.started()
bystander = os.fork()  # a worker of the starter that lives on must not keep the pipe open
if bystander:
    print(program.pid, bystander, flush=True)
signal.pause()
"""


def test_a_killed_starter_ends_its_program() -> None:
    """kill -9 of the starter ends the program, though a fork of the starter lives."""
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        program, bystander = (psutil.Process(int(pid)) for pid in starter.stdout.readline().split())
        with Deaths([program]) as deaths:
            starter.kill()
            deaths.wait(TIMEOUT_S)
        assert bystander.status() != psutil.STATUS_ZOMBIE
        bystander.kill()


def test_closing_ends_the_program() -> None:
    """A starter that is done with the program tells it so by closing."""
    pipe = ParentPipe()
    command = [sys.executable, "-c", PROGRAM, str(pipe.read_fd)]
    with subprocess.Popen(command, pass_fds=[pipe.read_fd]) as program:
        pipe.started()
        assert program.poll() is None
        pipe.close()
        pipe.close()
        assert program.wait(TIMEOUT_S) == 0


def test_a_stray_byte_is_no_end() -> None:
    """Only the end of the stream counts; waiting is bounded."""
    read, write = os.pipe()
    assert not at_eof(read)
    assert not wait_for_eof(read, 0.01)
    os.write(write, b"x")
    assert not at_eof(read)
    os.write(write, b"x")
    assert not wait_for_eof(read, 0.01)
    os.close(write)
    assert at_eof(read)
    assert wait_for_eof(read, 0)
    os.close(read)
