/* SPDX-License-Identifier: Apache-2.0
 *
 * found.c: a direct-mapped table. A place is found by the digest of what was asked for, which is also what is compared.
 */
#include "coordinator/found.h"

#include "common/buf.h"

#include <stdlib.h>
#include <string.h>

struct place {
	struct digest key; /* zeros: nothing is here */
	struct blob blob;
};

struct found {
	struct place at[FOUND_MAX];
};

struct found *found_new(void)
{
	return xcalloc(1, sizeof(struct found));
}

void found_free(struct found *f)
{
	free(f);
}

static struct digest key_of(const struct digest *job, int64_t index, const char *file)
{
	auto_buf struct buf b = { 0 };

	buf_add(&b, (const char *)job->b, sizeof(job->b));
	buf_add(&b, (const char *)&index, sizeof(index));
	buf_text(&b, file);
	return digest_of(b.data, b.len);
}

static size_t place_of(const struct digest *key)
{
	return (size_t)(key->b[0] << 8 | key->b[1]) % FOUND_MAX;
}

void found_put(struct found *f, const struct digest *job, int64_t index, const char *file,
	const struct blob *b)
{
	struct digest key = key_of(job, index, file);

	f->at[place_of(&key)] = (struct place){ .key = key, .blob = *b };
}

bool found_get(const struct found *f, const struct digest *job, int64_t index, const char *file,
	struct blob *out)
{
	struct digest key = key_of(job, index, file);
	const struct place *p = &f->at[place_of(&key)];

	if (!digest_equal(&p->key, &key))
		return false;
	*out = p->blob;
	return true;
}
