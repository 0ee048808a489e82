# Becomes the program in its arguments under a seccomp filter that answers io_uring_setup with EPERM.
import ctypes, os, struct, sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
IO_URING_SETUP = 425  # the same on every architecture
LOAD_NUMBER = (0x20, 0, 0, 0)
SKIP_UNLESS_SETUP = (0x15, 0, 1, IO_URING_SETUP)
RETURN_EPERM = (0x06, 0, 0, 0x00050001)
RETURN_ALLOW = (0x06, 0, 0, 0x7FFF0000)
filters = [LOAD_NUMBER, SKIP_UNLESS_SETUP, RETURN_EPERM, RETURN_ALLOW]


class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("filters", ctypes.c_void_p)]


code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *f) for f in filters))
program = Program(len(filters), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
