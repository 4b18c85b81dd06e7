/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/library.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "trace/procfs.h"
#include "trace/symbols.h"

/* nginx with all of Debian's modules maps some sixty files; a mapping of its own each, at most. */
#define FILES_MAX 512

/* A function that only libssl, and one that only libcrypto has. */
static const char *const marks[LIBRARY_KINDS] = {
	[LIBRARY_SSL] = "SSL_do_handshake",
	[LIBRARY_CRYPTO] = "ERR_error_string_n",
};

struct mapped {
	uint64_t start, end; /* of its first executable mapping */
	uint64_t ino;	     /* as /proc/PID/maps has it */
	unsigned int major, minor;
	char path[PATH_MAX]; /* without " (deleted)" */
	bool deleted;
	bool executable; /* it is the process's executable */
	bool usable;	 /* open_path is set, and it is ELF */
	bool defines[LIBRARY_KINDS];
	char open_path[PATH_MAX];
	struct stat st;
	char soname[SYMBOLS_SONAME_MAX];
};

struct mapped_files {
	pid_t pid;
	struct mapped *list;
	int count;
};

/* maps escapes the newline alone (seq_path(m, path, "\n")), as \012. */
static void unescape(char *path)
{
	char *out = path;

	for (char *in = path; *in; in++) {
		if (!strncmp(in, "\\012", 4)) {
			*out++ = '\n';
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
}

static bool known(const struct mapped_files *files, const struct mapped *file)
{
	for (int i = 0; i < files->count; i++)
		if (files->list[i].ino == file->ino && files->list[i].major == file->major &&
		    files->list[i].minor == file->minor)
			return true;
	return false;
}

/* Takes one line of maps: an executable mapping of a file. */
static void add_line(struct mapped_files *files, char *line)
{
	static const char deleted[] = " (deleted)";
	size_t tail = sizeof(deleted) - 1, len;
	struct mapped file = {0};
	int at = 0;
	char perms[5];

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64 " %n", &file.start,
		   &file.end, perms, &file.major, &file.minor, &file.ino, &at) < 6)
		return;
	line[strcspn(line, "\n")] = '\0';
	len = strlen(line + at);
	if (perms[2] != 'x' || !file.ino || line[at] != '/' || len >= sizeof(file.path) ||
	    files->count == FILES_MAX || known(files, &file))
		return;
	memcpy(file.path, line + at, len + 1);
	unescape(file.path);
	len = strlen(file.path);
	if (len > tail && !strcmp(file.path + len - tail, deleted)) {
		file.path[len - tail] = '\0';
		file.deleted = true;
	}
	files->list[files->count++] = file;
}

/* 0 or -errno. A kernel thread's maps and a zombie's are empty. */
static int read_maps(struct mapped_files *files, pid_t pid)
{
	char path[64], *line = NULL;
	size_t size = 0;
	FILE *maps;
	int err = 0;

	files->pid = pid;
	files->count = 0;
	files->list = calloc(FILES_MAX, sizeof(*files->list));
	if (!files->list)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return -errno;
	while (getline(&line, &size, maps) > 0)
		add_line(files, line);
	if (ferror(maps))
		err = -EACCES; /* the right to look is asked for at the first read */
	free(line);
	fclose(maps);
	return err;
}

/*
 * Is that the mapped file? With the right to follow map_files (`exact`) the inode is known beyond
 * doubt. Otherwise maps' numbers decide; btrfs and overlayfs give each file an anonymous device
 * (major 0) in stat() that maps does not show.
 */
static bool same_file(const struct mapped *file, const struct stat *exact, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return false;
	if (exact)
		return st->st_dev == exact->st_dev && st->st_ino == exact->st_ino;
	return st->st_ino == file->ino &&
	       ((major(st->st_dev) == file->major && minor(st->st_dev) == file->minor) ||
		major(st->st_dev) == 0);
}

/* Finds a path that leads to the mapped inode from here; file->open_path stays "" without one. */
static void find_path(const struct mapped_files *files, struct mapped *file)
{
	char inside[PATH_MAX], map_file[PATH_MAX];
	const char *candidates[] = {file->path, inside, map_file};
	struct stat exact, st;
	bool has_exact;

	snprintf(map_file, sizeof(map_file), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, files->pid,
		 file->start, file->end);
	has_exact = stat(map_file, &exact) == 0;
	if (snprintf(inside, sizeof(inside), "/proc/%d/root%s", files->pid, file->path) >=
	    (int)sizeof(inside))
		inside[0] = '\0';
	/* The plain path first: it stays good when the process ends. */
	for (int i = 0; i < 3; i++) {
		if (stat(candidates[i], &st) || !same_file(file, has_exact ? &exact : NULL, &st))
			continue;
		snprintf(file->open_path, sizeof(file->open_path), "%s", candidates[i]);
		file->st = st;
		return;
	}
}

/* Reads what the file defines; with `debug` also what its separate debug file knows. */
static void read_symbols(const struct mapped_files *files, struct mapped *file, bool debug)
{
	struct symbol symbols[LIBRARY_KINDS];
	char root[32];

	for (int k = 0; k < LIBRARY_KINDS; k++)
		symbols[k].name = marks[k];
	snprintf(root, sizeof(root), "/proc/%d/root", files->pid);
	if (symbols_find(file->open_path, debug ? file->path : NULL, debug ? root : NULL, symbols,
			 LIBRARY_KINDS) < 0)
		return;
	file->usable = true;
	for (int k = 0; k < LIBRARY_KINDS; k++)
		file->defines[k] = symbols[k].found;
}

static void inspect(struct mapped_files *files)
{
	struct symbols_links links;
	struct stat exe = {0};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", files->pid);
	if (stat(path, &exe))
		exe.st_ino = 0;
	for (int i = 0; i < files->count; i++) {
		struct mapped *file = &files->list[i];

		find_path(files, file);
		if (!file->open_path[0])
			continue;
		file->executable = exe.st_ino && file->st.st_ino == exe.st_ino &&
				   file->st.st_dev == exe.st_dev;
		read_symbols(files, file, false);
		if ((file->defines[LIBRARY_SSL] || file->defines[LIBRARY_CRYPTO]) &&
		    !symbols_links(file->open_path, &links))
			snprintf(file->soname, sizeof(file->soname), "%s", links.soname);
	}
}

static bool needs(const struct mapped *user, const struct mapped *file)
{
	const char *base = strrchr(file->path, '/') + 1;
	struct symbols_links links;

	if (!user || symbols_links(user->open_path, &links))
		return false;
	for (int i = 0; i < links.needed_count; i++)
		if (!strcmp(links.needed[i], file->soname) || !strcmp(links.needed[i], base))
			return true;
	return false;
}

/* The one that nginx is bound to: see library.h. `ssl` is what libssl was found to be, or NULL. */
static const struct mapped *choose(const struct mapped_files *files, enum library_kind kind,
				   const struct mapped *ssl)
{
	const struct mapped *best = NULL, *executable = NULL;
	int best_rank = 0;

	for (int i = 0; i < files->count; i++)
		if (files->list[i].executable && files->list[i].usable)
			executable = &files->list[i];
	for (int i = 0; i < files->count; i++) {
		const struct mapped *file = &files->list[i];
		int rank = 1;

		if (!file->usable || !file->defines[kind])
			continue;
		if (file->executable)
			rank = 4;
		else if (file == ssl)
			rank = 3;
		else if (needs(executable, file) || needs(ssl, file))
			rank = 2;
		if (rank > best_rank) {
			best = file;
			best_rank = rank;
		}
	}
	return best;
}

/* "OpenSSL 3.0.22" at `at`: its length, 0 where no version follows the name. */
static size_t release_len(const uint8_t *at, const uint8_t *end, size_t name)
{
	const uint8_t *p = at + name;

	if (p >= end || !isdigit(*p))
		return 0;
	/* Letters of 1.1.1w, -dev, -beta1, +quic */
	while (p < end && (isalnum(*p) || (*p && strchr(".-+", *p))))
		p++;
	return memchr(at + name, '.', p - at - name) ? p - at : 0;
}

static bool find_release(const struct procfs_map *map, const char *name, char *ret, size_t size)
{
	const uint8_t *end = map->bytes + map->len, *at = map->bytes;
	size_t len;

	for (; (at = memmem(at, end - at, name, strlen(name))); at++) {
		len = release_len(at, end, strlen(name));
		/* BoringSSL and AWS-LC say "OpenSSL 1.1.1 (compatible; BoringSSL)". */
		if (!len ||
		    ((size_t)(end - at) > len + 13 && !memcmp(at + len, " (compatible;", 13)))
			continue;
		snprintf(ret, size, "%.*s", (int)len, (const char *)at);
		return true;
	}
	return false;
}

static void find_flavour(const char *path, char *ret, size_t size)
{
	/* Forks first: a program may carry the names of those it is compatible with. */
	static const char *const names[] = {"LibreSSL ", "AWS-LC ", "OpenSSL "};
	static const char boring[] = "(compatible; BoringSSL)";
	struct procfs_map map;
	bool found = false;

	snprintf(ret, size, "unknown");
	if (procfs_map(path, &map))
		return;
	if (memmem(map.bytes, map.len, boring, sizeof(boring) - 1)) {
		snprintf(ret, size, "BoringSSL");
		found = true;
	}
	for (size_t i = 0; !found && i < sizeof(names) / sizeof(names[0]); i++)
		found = find_release(&map, names[i], ret, size);
	procfs_unmap(&map);
}

/* A container chooses its own file names: nothing of them may reach a terminal as it is. */
static void make_printable(char *path)
{
	for (; *path; path++)
		if (iscntrl((unsigned char)*path))
			*path = '?';
}

static void fill(const struct mapped_files *files, const struct mapped *file, struct library *ret)
{
	snprintf(ret->open_path, sizeof(ret->open_path), "%s", file->open_path);
	snprintf(ret->shown_path, sizeof(ret->shown_path), "%s", file->path);
	make_printable(ret->shown_path);
	snprintf(ret->root, sizeof(ret->root), "/proc/%d/root", files->pid);
	ret->dev = file->st.st_dev;
	ret->ino = file->st.st_ino;
	ret->deleted = file->deleted;
	ret->is_executable = file->executable;
	symbols_build_id(file->open_path, ret->build_id, sizeof(ret->build_id));
	find_flavour(file->open_path, ret->flavour, sizeof(ret->flavour));
}

/* No file defines libssl's functions: say what there is instead. */
static int explain(const struct mapped_files *files, struct failure *why)
{
	char flavour[64];

	for (int i = 0; i < files->count; i++) {
		struct mapped *file = &files->list[i];

		if (!file->executable)
			continue;
		find_flavour(file->open_path, flavour, sizeof(flavour));
		if (!strcmp(flavour, "unknown"))
			break;
		make_printable(file->path);
		return failure_set(
			why, EXIT_TARGET,
			"cannot trace %d: %s was built with %s, but its functions are in no "
			"symbol table; install the debug symbols of that nginx",
			files->pid, file->path, flavour);
	}
	return failure_set(why, EXIT_TARGET,
			   "cannot trace %d: no OpenSSL in it (no mapped file defines %s); "
			   "give an nginx that was built with TLS",
			   files->pid, marks[LIBRARY_SSL]);
}

static int not_readable(pid_t pid, int err, struct failure *why)
{
	if (err == -EACCES || err == -EPERM)
		return failure_set(why, EXIT_PERMISSION,
				   "cannot trace %d: not allowed to read /proc/%d/maps; "
				   "run as root or with CAP_SYS_PTRACE",
				   pid, pid);
	return failure_set(why, EXIT_TARGET, "cannot trace %d: %s; look whether it still runs", pid,
			   err == -ENOENT || err == -ESRCH ? "no such process" : strerror(-err));
}

int library_find(pid_t pid, struct libraries *ret, struct failure *why)
{
	const struct mapped *ssl, *crypto;
	struct mapped_files files;
	int err;

	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	err = read_maps(&files, pid);
	if (err) {
		free(files.list);
		return not_readable(pid, err, why);
	}
	inspect(&files);
	ssl = choose(&files, LIBRARY_SSL, NULL);
	/* Linked statically and stripped: only a separate debug file knows. */
	for (int i = 0; !ssl && i < files.count; i++)
		if (files.list[i].executable) {
			read_symbols(&files, &files.list[i], true);
			ssl = choose(&files, LIBRARY_SSL, NULL);
		}
	crypto = ssl ? choose(&files, LIBRARY_CRYPTO, ssl) : NULL;
	if (!ssl || !crypto) {
		err = explain(&files, why);
		free(files.list);
		return err;
	}
	fill(&files, ssl, &ret->list[ret->count++]);
	ret->index[LIBRARY_CRYPTO] = crypto == ssl ? 0 : ret->count++;
	if (crypto != ssl) {
		fill(&files, crypto, &ret->list[1]);
		/* libssl 3 carries no version of its own. It works with no other libcrypto. */
		if (!strcmp(ret->list[0].flavour, "unknown"))
			strcpy(ret->list[0].flavour, ret->list[1].flavour);
	}
	free(files.list);
	return 0;
}

bool library_same(const struct library *a, const struct library *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

bool library_is_openssl(const struct library *library)
{
	return !strncmp(library->flavour, "OpenSSL ", 8);
}
