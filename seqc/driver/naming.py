"""The name of what a build makes: module, library, header and functions in C are called so."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path

from seqc.driver.fault import UserFault

_HEADERS = """aio alloca assert complex cpio ctype dirent dlfcn elf endian errno error fcntl features fenv float fmtmsg fnmatch
ftw getopt glob grp iconv inttypes iso646 langinfo libgen limits link locale malloc math memory monetary mqueue ndbm netdb
nl_types obstack paths poll printf pthread pwd regex resolv sched search semaphore setjmp signal spawn stdalign stdarg
stdatomic stdbool stdbit stddef stdint stdio stdlib stdnoreturn string strings stropts syslog tar termio termios tgmath
threads time trace uchar ucontext ulimit unistd utime utmp utmpx values wait wchar wctype wordexp"""
"""Headers of C, POSIX and the C library: one of such a name in a folder of headers would hide the system's."""

_LIBRARIES = "anl c crypt dl gcc gcc_s m mvec nsl pthread resolv rt stdc stdcxx util"
"""Libraries that programs are linked with: `-lm` would find the model."""

_OURS = "numpy seqc seqc_abi seqc_team"
"""What a build itself brings or imports."""

_TAKEN = frozenset(f"{_HEADERS} {_LIBRARIES} {_OURS}".split()) | (sys.stdlib_module_names - {"test"})


def name_of(model: str, wish: str | None, path: Path) -> str:
    """The name asked for; else the file's, else the model's in lower case, with `_` behind where the system has something of
    that name. Raises UserFault S0906 for a wish that nothing can be called."""
    if wish:
        if not is_name(wish):
            remedy = (
                "expected letters, digits and `_`, no digit first and no word of Python: a module is named so"
            )
            raise UserFault("S0906", f"`{wish}` is no name of a module", remedy)
        if wish in _TAKEN:
            reason = "a header, a library or a module of the system has it, which this one would hide"
            raise UserFault("S0906", f"the name `{wish}` is taken", reason, f"write `--name {wish}_model`")
        return wish
    name = path.stem if is_name(path.stem) else model.lower()
    return f"{name}_" if name in _TAKEN or not is_name(name) else name


def is_name(text: str) -> bool:
    """Whether a module, a library and functions in C may be called so."""
    return text.isidentifier() and text.isascii() and not keyword.iskeyword(text)
