"""What a linked file holds, read with pyelftools."""

from __future__ import annotations

from pathlib import Path

from bridge.errors import BuildError

_SHF_ALLOC = 0x2


def sections(elf: Path) -> dict[str, int]:
    """The bytes of each section that takes memory on the target.

    Raises:
        BuildError: the file is no ELF.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with elf.open("rb") as stream:
            return {
                section.name: int(section["sh_size"])
                for section in ELFFile(stream).iter_sections()
                if section["sh_flags"] & _SHF_ALLOC
            }
    except (OSError, ELFError) as error:
        raise BuildError(f"{elf} is no readable ELF file: {error}") from None


def symbols(elf: Path) -> dict[str, int]:
    """The address of each defined symbol, Thumb bit cleared."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        return {
            symbol.name: int(symbol["st_value"]) & ~1
            for symbol in table.iter_symbols()
            if symbol.name and symbol["st_shndx"] != "SHN_UNDEF"
        }
