#ifndef WALLET_ACCOUNT_H
#define WALLET_ACCOUNT_H

/*
 * Orgs, API keys and the wallet row, for readers: each function runs in a query's step or on the
 * command line. False (or an empty list) is "not there"; a store that cannot be read shows in
 * db_flush's status, which these return.
 */

#include "wallet/wallet.h"

/* An API key is "fbx_" and 43 characters of base64url (256 random bits); the store has only its
 * SHA-256 and its first 12 characters. */
#define API_KEY_SIZE       48
#define API_KEY_PREFIX_LEN 12
void api_key_make(char out[API_KEY_SIZE]);
struct digest api_key_hash(struct slice key);
MUST_USE bool api_key_looks_right(struct slice key);

struct key_view {
	struct id id;
	struct id org;
	char prefix[API_KEY_PREFIX_LEN + 1];
	char *label; /* owned by the list */
	struct walltime created;
	bool is_revoked;
	struct key_limits limits; /* passed on by rotation */
};

struct org_view {
	struct id id;
	char *name;
	char *email; /* NULL = none */
	struct walltime created;
};

/* Each is DB_OK with *out_found false when there is none. */
MUST_USE enum db_status key_find_by_hash(struct db *db, const struct digest *hash, bool *out_found,
					 struct caller *out);
MUST_USE enum db_status org_find_by_name(struct db *db, const char *name, bool *out_found,
					 struct org_view *out);
MUST_USE enum db_status org_find(struct db *db, struct id id, bool *out_found,
				 struct org_view *out);
void org_view_finish(struct org_view *org);

struct key_list {
	struct key_view *items;
	size_t count;
};
/* Of one org (ID_NONE: all), newest first. */
MUST_USE enum db_status key_list_read(struct db *db, struct id org, struct key_list *out);
void key_list_finish(struct key_list *list);

/* What a key may still spend: the largest amount where it has no limits. */
MUST_USE enum db_status key_room_read(struct db *db, struct id key, struct microusd *out);

struct org_list {
	struct org_view *items;
	size_t count;
};
MUST_USE enum db_status org_list_read(struct db *db, struct org_list *out);
void org_list_finish(struct org_list *list);

MUST_USE enum db_status wallet_view_read(struct db *db, struct id org, bool *out_found,
					 struct wallet_view *out);

#endif
