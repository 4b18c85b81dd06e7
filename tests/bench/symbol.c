/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbol.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Uprobes take file offsets; .dynsym has addresses: the loaded segments translate. */
static int offset_of_address(Elf *elf, uint64_t address, uint64_t *ret_offset)
{
	size_t count;

	if (elf_getphdrnum(elf, &count) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf, i, &phdr) || phdr.p_type != PT_LOAD)
			continue;
		if (address < phdr.p_vaddr || address >= phdr.p_vaddr + phdr.p_filesz)
			continue;
		*ret_offset = address - phdr.p_vaddr + phdr.p_offset;
		return 0;
	}
	return -1;
}

static int address_of_name(Elf *elf, const char *name, uint64_t *ret_address)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNSYM)
			continue;
		data = elf_getdata(section, NULL);
		if (!data || header.sh_entsize == 0)
			continue;
		for (int i = 0; i < (int)(header.sh_size / header.sh_entsize); i++) {
			const char *found;
			GElf_Sym sym;

			if (!gelf_getsym(data, i, &sym) || sym.st_shndx == SHN_UNDEF)
				continue;
			found = elf_strptr(elf, header.sh_link, sym.st_name);
			if (!found || strcmp(found, name) != 0)
				continue;
			*ret_address = sym.st_value;
			return 0;
		}
	}
	return -1;
}

/* `push reg` is 0x50–0x57, with REX.B before it for r8–r15; uprobes emulate exactly these. */
static bool is_push(const uint8_t *code)
{
	if (code[0] == 0x41)
		code++;
	return (code[0] & 0xf8) == 0x50;
}

static void choose_probe(struct symbol *symbol)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t skip = 0;

	if (memcmp(symbol->code, endbr64, sizeof(endbr64)) == 0)
		skip = sizeof(endbr64);
	symbol->push = is_push(symbol->code + skip);
	symbol->probe = symbol->offset + (symbol->push ? skip : 0);
}

int symbol_find(const char *path, const char *name, struct symbol *ret_symbol)
{
	struct symbol symbol = {0};
	uint64_t address;
	Elf *elf = NULL;
	int fd, result = -1;

	elf_version(EV_CURRENT);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || address_of_name(elf, name, &address) < 0 ||
	    offset_of_address(elf, address, &symbol.offset) < 0) {
		fprintf(stderr, "%s: no %s in its dynamic symbols\n", path, name);
		goto out;
	}
	if (pread(fd, symbol.code, sizeof(symbol.code), (off_t)symbol.offset) !=
	    (ssize_t)sizeof(symbol.code)) {
		fprintf(stderr, "%s: %s: cannot read its code\n", path, name);
		goto out;
	}
	choose_probe(&symbol);
	*ret_symbol = symbol;
	result = 0;
out:
	elf_end(elf);
	close(fd);
	return result;
}
