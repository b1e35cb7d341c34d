#include "mcp/inflight.h"

#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 16

/* FNV-1a. */
static uint64_t hash_of(struct slice key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static struct inflight **bucket_of(const struct inflight_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->n_buckets - 1)];
}

void inflight_table_finish(struct inflight_table *table)
{
	CHECK(!table->count);
	free(table->buckets);
	*table = (struct inflight_table){.count = 0};
}

struct inflight *inflight_find(const struct inflight_table *table, struct slice key)
{
	uint64_t hash = hash_of(key);

	if (!table->count)
		return NULL;
	for (struct inflight *e = *bucket_of(table, hash); e; e = e->next) {
		if (e->hash == hash && e->key_len == key.len && !memcmp(e->key, key.p, key.len))
			return e;
	}
	return NULL;
}

static void put(struct inflight_table *table, struct inflight *entry)
{
	struct inflight **bucket = bucket_of(table, entry->hash);

	entry->next = *bucket;
	*bucket = entry;
}

static void grow(struct inflight_table *table)
{
	struct inflight_table old = *table;

	table->n_buckets = old.n_buckets ? old.n_buckets * 2 : BUCKETS_FIRST;
	table->buckets = xzalloc(table->n_buckets * sizeof(table->buckets[0]));
	for (size_t i = 0; i < old.n_buckets; i++) {
		struct inflight *next;

		for (struct inflight *e = old.buckets[i]; e; e = next) {
			next = e->next;
			put(table, e);
		}
	}
	free(old.buckets);
}

struct inflight *inflight_add(struct inflight_table *table, struct slice key, TAKES char *id)
{
	struct inflight *entry = pool_zalloc(sizeof(*entry) + key.len);

	entry->hash = hash_of(key);
	entry->id = id;
	entry->key_len = key.len;
	memcpy(entry->key, key.p, key.len);
	if (table->count >= table->n_buckets)
		grow(table);
	put(table, entry);
	table->count++;
	return entry;
}

void inflight_remove(struct inflight_table *table, struct inflight *entry)
{
	struct inflight **at = bucket_of(table, entry->hash);

	while (*at != entry) {
		CHECK(*at);
		at = &(*at)->next;
	}
	*at = entry->next;
	entry->next = NULL;
	table->count--;
}

struct inflight *inflight_any(const struct inflight_table *table, bool is_listen)
{
	for (size_t i = 0; i < table->n_buckets; i++) {
		for (struct inflight *e = table->buckets[i]; e; e = e->next) {
			if (e->is_listen == is_listen)
				return e;
		}
	}
	return NULL;
}

void inflight_each_listen(const struct inflight_table *table, void (*fn)(struct inflight *entry))
{
	for (size_t i = 0; i < table->n_buckets; i++) {
		for (struct inflight *e = table->buckets[i]; e; e = e->next) {
			if (e->is_listen)
				fn(e);
		}
	}
}

void inflight_free(struct inflight *entry)
{
	tools_wait_cancel(&entry->wait);
	rpc_message_finish(&entry->message);
	free(entry->id);
	free(entry->progress_token);
	pool_free(entry);
}
