/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/symbols.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "trace/procfs.h"

#define DEBUG_ROOT "/usr/lib/debug"

struct file {
	int fd;
	Elf *elf;
};

static void file_close(struct file *file)
{
	if (file->elf)
		elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
}

/* 0, -ENOEXEC or -errno; file_close() is fine in any case. */
static int file_open(struct file *file, const char *path)
{
	file->elf = NULL;
	/* A device or a FIFO can be mapped under any name: never wait for it. */
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	file->elf = elf_begin(file->fd, ELF_C_READ_MMAP, NULL);
	if (!file->elf || elf_kind(file->elf) != ELF_K_ELF)
		return -ENOEXEC;
	return 0;
}

/* The file offset of an address, through the segment that loads it. */
static bool offset_of_address(Elf *elf, uint64_t address, uint64_t *ret)
{
	size_t count;
	GElf_Phdr ph;

	if (elf_getphdrnum(elf, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!gelf_getphdr(elf, i, &ph) || ph.p_type != PT_LOAD)
			continue;
		if (address >= ph.p_vaddr && address - ph.p_vaddr < ph.p_filesz) {
			*ret = address - ph.p_vaddr + ph.p_offset;
			return true;
		}
	}
	return false;
}

/* Offsets are always the loaded file's: a debug file has the same addresses and no contents. */
static int search_table(Elf *tables, Elf *loaded, Elf_Scn *section, const GElf_Shdr *sh,
			struct symbol *symbols, int count)
{
	Elf_Data *data = elf_getdata(section, NULL);
	int found = 0;
	size_t entries;

	if (!data || !sh->sh_entsize)
		return 0;
	entries = sh->sh_size / sh->sh_entsize;
	for (size_t i = 0; i < entries && i <= INT_MAX; i++) {
		const char *name;
		GElf_Sym sym;

		if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF ||
		    GELF_ST_TYPE(sym.st_info) != STT_FUNC)
			continue;
		name = elf_strptr(tables, sh->sh_link, sym.st_name);
		for (int k = 0; name && k < count; k++) {
			if (symbols[k].found || strcmp(symbols[k].name, name))
				continue;
			if (!offset_of_address(loaded, sym.st_value, &symbols[k].offset))
				continue;
			symbols[k].found = true;
			symbols[k].address = sym.st_value;
			symbols[k].size = sym.st_size;
			found++;
		}
	}
	return found;
}

static int search_file(Elf *tables, Elf *loaded, struct symbol *symbols, int count)
{
	static const GElf_Word types[] = {SHT_DYNSYM, SHT_SYMTAB};
	int found = 0;

	for (int t = 0; t < 2 && found < count; t++) {
		Elf_Scn *section = NULL;
		GElf_Shdr sh;

		while ((section = elf_nextscn(tables, section)))
			if (gelf_getshdr(section, &sh) && sh.sh_type == types[t])
				found += search_table(tables, loaded, section, &sh, symbols, count);
	}
	return found;
}

static bool imports(Elf *elf, Elf_Scn *section, const GElf_Shdr *sh, const char *name)
{
	Elf_Data *data = elf_getdata(section, NULL);
	const char *its;
	GElf_Sym sym;

	for (int i = 0; data && gelf_getsym(data, i, &sym); i++) {
		if (sym.st_shndx != SHN_UNDEF)
			continue;
		its = elf_strptr(elf, sh->sh_link, sym.st_name);
		if (its && !strcmp(its, name))
			return true;
	}
	return false;
}

bool symbols_is_imported(const char *path, const char *name)
{
	Elf_Scn *section = NULL;
	bool found = false;
	struct file file;
	GElf_Shdr sh;

	if (!file_open(&file, path))
		while (!found && (section = elf_nextscn(file.elf, section)))
			found = gelf_getshdr(section, &sh) && sh.sh_type == SHT_DYNSYM &&
				imports(file.elf, section, &sh, name);
	file_close(&file);
	return found;
}

static void build_id_hex(Elf *elf, char *ret, size_t size)
{
	const void *bits;
	ssize_t len = dwelf_elf_gnu_build_id(elf, &bits);

	ret[0] = '\0';
	for (ssize_t i = 0; i < len && (size_t)i * 2 + 3 <= size; i++)
		sprintf(ret + i * 2, "%02x", ((const uint8_t *)bits)[i]);
}

/* Opens root + path where it is an ELF file with that build id. */
static bool open_by_build_id(struct file *file, const char *root, const char *hex)
{
	char path[PATH_MAX], its[2 * 64 + 1];

	if (strlen(hex) < 4)
		return false;
	snprintf(path, sizeof(path), "%s" DEBUG_ROOT "/.build-id/%.2s/%s.debug", root, hex,
		 hex + 2);
	if (!file_open(file, path)) {
		build_id_hex(file->elf, its, sizeof(its));
		if (!strcmp(its, hex))
			return true;
	}
	file_close(file);
	return false;
}

/* Opens a debug file named by a .gnu_debuglink, whose CRC-32 (zlib's) must agree. */
static bool open_by_link(struct file *file, const char *path, uint32_t crc)
{
	struct procfs_map map;
	bool same;

	if (procfs_map(path, &map))
		return false;
	same = crc32_z(0, map.bytes, map.len) == crc;
	procfs_unmap(&map);
	if (!same)
		return false;
	if (!file_open(file, path))
		return true;
	file_close(file);
	return false;
}

static bool open_debug_file(struct file *file, Elf *loaded, const char *shown_path,
			    const char *root)
{
	/* Where gdb looks (its manual, "Debugging Information in Separate Files"). */
	static const char *const places[] = {"%s%.*s/%s", "%s%.*s/.debug/%s",
					     "%s" DEBUG_ROOT "%.*s/%s"};
	const char *roots[] = {root, ""};
	char path[PATH_MAX], hex[2 * 64 + 1];
	const char *link, *slash;
	GElf_Word crc;

	build_id_hex(loaded, hex, sizeof(hex));
	for (int r = 0; r < 2; r++)
		if (open_by_build_id(file, roots[r], hex))
			return true;
	link = dwelf_elf_gnu_debuglink(loaded, &crc);
	slash = strrchr(shown_path, '/');
	for (int r = 0; link && slash && r < 2; r++) {
		for (int p = 0; p < 3; p++) {
			int n = snprintf(path, sizeof(path), places[p], roots[r],
					 (int)(slash - shown_path), shown_path, link);

			if (n < (int)sizeof(path) && open_by_link(file, path, crc))
				return true;
		}
	}
	return false;
}

int symbols_find(const char *path, const char *shown_path, const char *root, struct symbol *symbols,
		 int count)
{
	struct file file, debug;
	int err, found;

	for (int i = 0; i < count; i++)
		symbols[i] = (struct symbol){.name = symbols[i].name};
	err = file_open(&file, path);
	if (err) {
		file_close(&file);
		return err;
	}
	found = search_file(file.elf, file.elf, symbols, count);
	if (found < count && shown_path && root &&
	    open_debug_file(&debug, file.elf, shown_path, root)) {
		found += search_file(debug.elf, file.elf, symbols, count);
		file_close(&debug);
	}
	file_close(&file);
	return found;
}

int symbols_build_id(const char *path, char *ret, size_t size)
{
	struct file file;
	int err;

	ret[0] = '\0';
	err = file_open(&file, path);
	if (!err)
		build_id_hex(file.elf, ret, size);
	file_close(&file);
	return err;
}

/* Appends the string that a dynamic entry names. */
static void add_name(Elf *elf, const GElf_Shdr *sh, const GElf_Dyn *dyn, struct symbols_links *ret)
{
	const char *name = elf_strptr(elf, sh->sh_link, dyn->d_un.d_val);

	if (!name)
		return;
	if (dyn->d_tag == DT_SONAME)
		snprintf(ret->soname, sizeof(ret->soname), "%s", name);
	else if (ret->needed_count < SYMBOLS_NEEDED_MAX)
		snprintf(ret->needed[ret->needed_count++], SYMBOLS_SONAME_MAX, "%s", name);
}

int symbols_links(const char *path, struct symbols_links *ret)
{
	Elf_Scn *section = NULL;
	struct file file;
	GElf_Shdr sh;
	int err;

	memset(ret, 0, sizeof(*ret));
	err = file_open(&file, path);
	while (!err && (section = elf_nextscn(file.elf, section))) {
		Elf_Data *data;
		GElf_Dyn dyn;

		if (!gelf_getshdr(section, &sh) || sh.sh_type != SHT_DYNAMIC)
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getdyn(data, i, &dyn) && dyn.d_tag != DT_NULL; i++)
			if (dyn.d_tag == DT_SONAME || dyn.d_tag == DT_NEEDED)
				add_name(file.elf, &sh, &dyn, ret);
	}
	file_close(&file);
	return err;
}

int symbols_read_code(const char *path, uint64_t offset, uint8_t *ret, size_t len)
{
	ssize_t n;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	n = pread(fd, ret, len, (off_t)offset);
	err = n < 0 ? -errno : (int)n;
	close(fd);
	return err;
}
