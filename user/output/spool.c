/* SPDX-License-Identifier: BSD-2-Clause */
#include "output/spool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct spool {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	int fd;
	char *bytes; /* a ring of SPOOL_LIMIT bytes, grown into as the kernel maps its pages */
	size_t begin, len;
	int err; /* errno of the descriptor */
	bool closing;
};

/* Writes one run of bytes; what is being written stays in the spool meanwhile. */
static void *spool_thread(void *arg)
{
	struct spool *spool = arg;

	pthread_mutex_lock(&spool->lock);
	while (!spool->err) {
		size_t run;
		ssize_t wrote;

		if (!spool->len) {
			if (spool->closing)
				break;
			pthread_cond_wait(&spool->changed, &spool->lock);
			continue;
		}
		run = SPOOL_LIMIT - spool->begin;
		if (run > spool->len)
			run = spool->len;
		pthread_mutex_unlock(&spool->lock);
		wrote = write(spool->fd, spool->bytes + spool->begin, run);
		pthread_mutex_lock(&spool->lock);
		if (wrote < 0) {
			if (errno != EINTR)
				spool->err = errno;
			continue;
		}
		spool->len -= wrote;
		/* an empty one begins anew: few pages serve a reader that keeps up */
		spool->begin = spool->len ? (spool->begin + wrote) % SPOOL_LIMIT : 0;
		pthread_cond_broadcast(&spool->changed);
	}
	pthread_cond_broadcast(&spool->changed);
	pthread_mutex_unlock(&spool->lock);
	return NULL;
}

static ssize_t spool_write(void *cookie, const char *bytes, size_t len)
{
	struct spool *spool = cookie;
	size_t done = 0;
	int err;

	pthread_mutex_lock(&spool->lock);
	while (done < len && !spool->err) {
		size_t end = (spool->begin + spool->len) % SPOOL_LIMIT;
		size_t run = SPOOL_LIMIT - (spool->len ? end : spool->begin);

		if (spool->len == SPOOL_LIMIT) {
			pthread_cond_wait(&spool->changed, &spool->lock);
			continue;
		}
		if (run > SPOOL_LIMIT - spool->len)
			run = SPOOL_LIMIT - spool->len;
		if (run > len - done)
			run = len - done;
		memcpy(spool->bytes + end, bytes + done, run);
		if (!spool->len)
			pthread_cond_broadcast(&spool->changed);
		spool->len += run;
		done += run;
	}
	err = spool->err;
	pthread_mutex_unlock(&spool->lock);
	if (err) {
		errno = err;
		return 0; /* how a cookie's write says: failed */
	}
	return done;
}

static void spool_free(struct spool *spool)
{
	free(spool->bytes);
	free(spool);
}

static int spool_close(void *cookie)
{
	struct spool *spool = cookie;
	int err;

	pthread_mutex_lock(&spool->lock);
	spool->closing = true;
	pthread_cond_broadcast(&spool->changed);
	pthread_mutex_unlock(&spool->lock);
	pthread_join(spool->thread, NULL);
	err = spool->err;
	spool_free(spool);
	errno = err;
	return err ? -1 : 0;
}

FILE *spool_open(int fd)
{
	static const cookie_io_functions_t functions = {
		.write = spool_write,
		.close = spool_close,
	};
	struct spool *spool = calloc(1, sizeof(*spool));
	FILE *stream;
	int err;

	if (!spool)
		return NULL;
	spool->fd = fd;
	spool->bytes = malloc(SPOOL_LIMIT);
	pthread_mutex_init(&spool->lock, NULL);
	pthread_cond_init(&spool->changed, NULL);
	err = spool->bytes ? pthread_create(&spool->thread, NULL, spool_thread, spool) : ENOMEM;
	if (err) {
		spool_free(spool);
		errno = err;
		return NULL;
	}
	stream = fopencookie(spool, "w", functions);
	if (!stream)
		spool_close(spool);
	return stream;
}
