"""What a linked file holds, read with pyelftools."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.errors import BuildError

_SHF_ALLOC = 0x2


@dataclass(frozen=True)
class Symbol:
    """One defined symbol.

    Attributes:
        name: as linked.
        address: Thumb bit cleared.
        bytes: its size.
        kind: ELF's type, for example ``STT_FUNC``.
        file: the source file of a local symbol; empty for a global one.
        section: the section that it lies in; empty for an absolute one.
    """

    name: str
    address: int
    bytes: int
    kind: str
    file: str
    section: str


@contextmanager
def _image(elf: Path) -> Iterator[Any]:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with elf.open("rb") as stream:
            yield ELFFile(stream)
    except (OSError, ELFError) as error:
        raise BuildError(f"{elf} is no readable ELF file: {error}") from None


def sections(elf: Path) -> dict[str, int]:
    """The bytes of each section that takes memory on the target.

    Raises:
        BuildError: the file is no ELF.
    """
    with _image(elf) as image:
        return {
            section.name: int(section["sh_size"])
            for section in image.iter_sections()
            if section["sh_flags"] & _SHF_ALLOC
        }


def defined(elf: Path) -> list[Symbol]:
    """Every named symbol that a file defines, in its table's order.

    A symbol table lists each file's local symbols behind the file's name (ELF, STT_FILE).

    Raises:
        BuildError: the file is no ELF, or its symbols were stripped.
    """
    found, file = [], ""
    with _image(elf) as image:
        table = image.get_section_by_name(".symtab")
        if table is None:
            raise BuildError(f"{elf} has no symbols", hint="link it without -s, and don't strip it")
        names = [section.name for section in image.iter_sections()]
        for symbol in table.iter_symbols():
            kind, index = symbol["st_info"]["type"], symbol["st_shndx"]
            if kind == "STT_FILE":
                file = symbol.name
            elif symbol.name and index != "SHN_UNDEF":
                local = symbol["st_info"]["bind"] == "STB_LOCAL"
                found.append(
                    Symbol(
                        symbol.name,
                        int(symbol["st_value"]) & ~1,
                        int(symbol["st_size"]),
                        kind,
                        file if local else "",
                        names[index] if isinstance(index, int) else "",
                    )
                )
    return found


def symbols(elf: Path) -> dict[str, int]:
    """The address of each defined symbol, Thumb bit cleared.

    Raises:
        BuildError: the file is no ELF, or its symbols were stripped.
    """
    return {symbol.name: symbol.address for symbol in defined(elf)}


def function_at(elf: Path, address: int) -> str:
    """The function that an address lies in, or an empty string.

    Raises:
        BuildError: the file is no ELF, or its symbols were stripped.
    """
    for symbol in defined(elf):
        # A naked function may have no size of its own: its first instruction is its anyway.
        inside = symbol.address <= address < symbol.address + max(symbol.bytes, 2)
        if symbol.kind == "STT_FUNC" and inside:
            return symbol.name
    return ""
