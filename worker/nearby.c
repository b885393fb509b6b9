/* SPDX-License-Identifier: Apache-2.0
 *
 * nearby.c: finding nodes of our grid on the local network: what is said, and to whom.
 */
#include "worker/nearby.h"

#include <string.h>

static const char *const first[] = {
	[NEARBY_SEARCH] = "TALKOOT-SEARCH 1\r\n", [NEARBY_HERE] = "TALKOOT-HERE 1\r\n"
};

size_t nearby_write(char out[NEARBY_MAX + 1], const struct nearby *n)
{
	char grid[ID_TEXT + 1], node[ID_TEXT + 1];

	id_text(grid, &n->grid);
	id_text(node, &n->node);
	return (size_t)snprintf(out, NEARBY_MAX + 1, "%sGrid: %s\r\nNode: %s\r\nPort: %05u\r\n\r\n",
		first[n->kind], grid, node, n->port);
}

/* The 64 digits behind `name`; *at goes behind the line. */
static bool read_id(struct id *id, const char **at, const char *name)
{
	char digits[ID_TEXT + 1];
	size_t n = strlen(name);

	if (strncmp(*at, name, n) != 0 || strlen(*at) < n + ID_TEXT + 2)
		return false;
	memcpy(digits, *at + n, ID_TEXT);
	digits[ID_TEXT] = '\0';
	*at += n + ID_TEXT + 2;
	return id_parse(id, digits);
}

static uint16_t read_port(const char *at)
{
	unsigned port = 0;

	for (int i = 0; i < 5 && at[i] >= '0' && at[i] <= '9'; i++)
		port = port * 10 + (unsigned)(at[i] - '0');
	return (uint16_t)port;
}

/* Read loosely, write again, compare: so there is one spelling. */
bool nearby_read(struct nearby *n, const char *bytes, size_t len)
{
	char text[NEARBY_MAX + 1], again[NEARBY_MAX + 1];
	const char *at = text;

	if (len > NEARBY_MAX || memchr(bytes, '\0', len))
		return false;
	memcpy(text, bytes, len);
	text[len] = '\0';
	n->kind = !strncmp(text, first[NEARBY_SEARCH], strlen(first[NEARBY_SEARCH])) ? NEARBY_SEARCH
	                                                                             : NEARBY_HERE;
	if (strncmp(text, first[n->kind], strlen(first[n->kind])) != 0)
		return false;
	at += strlen(first[n->kind]);
	if (!read_id(&n->grid, &at, "Grid: ") || !read_id(&n->node, &at, "Node: ") ||
		strncmp(at, "Port: ", 6) != 0)
		return false;
	n->port = read_port(at + 6);
	return nearby_write(again, n) == len && !memcmp(again, bytes, len);
}

unsigned nearby_hear(struct nearby_rules *r, const struct nearby *me, const struct nearby *heard,
	bool to_group, const char *address, int64_t now_ms)
{
	unsigned todo = 0;

	if (!id_equal(&heard->grid, &me->grid) || id_equal(&heard->node, &me->node) ||
		to_group != (heard->kind == NEARBY_SEARCH) || !*address ||
		strlen(address) > RECENT_KEY_MAX)
		return 0;
	if (heard->port &&
		recent_allow(&r->found, heard->node.b, ID_BYTES, now_ms, NEARBY_FOUND_MS))
		todo |= NEARBY_TELL;
	if (heard->kind == NEARBY_SEARCH && me->port &&
		recent_allow(&r->answered, address, strlen(address), now_ms, NEARBY_ANSWER_MS))
		todo |= NEARBY_ANSWER;
	return todo;
}

bool nearby_is_local(uint32_t address, uint32_t mask, uint32_t from)
{
	return mask && mask != UINT32_MAX && !((address ^ from) & mask);
}

int64_t nearby_wait(const struct nearby_rules *r, bool lonely, int64_t now_ms)
{
	int64_t due = r->last_ms + (lonely ? NEARBY_LONELY_MS : NEARBY_CALM_MS) + r->jitter_ms;

	return !r->searched || due <= now_ms ? 0 : due - now_ms;
}

void nearby_searched(struct nearby_rules *r, int64_t now_ms)
{
	r->searched = true;
	r->last_ms = now_ms;
	r->jitter_ms = (int64_t)rng_below(&r->seed, NEARBY_JITTER_MS);
}
